"""`audit probe --image`: the same as with a program of this machine, and nothing of it stays."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from auditor.check import Options, load_sites
from auditor.server import Site
from probes.client import send
from probes.origin import Origin
from probes.probing import Session
from probes.runners import container, engine
from probes.runners.container import Image
from probes.runners.local import Folder, free_ports, hand_over
from probes.runners.program import Unavailable
from tests import live
from tests.live import disagreements

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

pytestmark = pytest.mark.live

TOP = Path(__file__).resolve().parents[2]
SAMPLES = sorted(path.name for path in (TOP / "configs" / "nginx").glob("*.conf"))
# FastCGI, uwsgi, Unix sockets, address lists, TLS, an auth service.
TREES = ("nextcloud", "django-uwsgi", "internal-networks", "mtls-edge", "oauth2-proxy")
PATIENCE = 20.0  # seconds


def _images() -> list[str]:
    """The names in AUDIT_TEST_IMAGES, else the one that the compose stack takes."""
    return live.IMAGES or [os.environ.get("NGINX_IMAGE") or "nginx:1.26"]


@pytest.fixture(scope="module", params=_images())
def program(request: pytest.FixtureRequest) -> Iterator[Image]:
    """A container that the tests of this module share."""
    with ExitStack() as stack:
        try:
            image = stack.enter_context(container.image(request.param))
        except Unavailable as error:
            live.unavailable(str(error))
        yield image


@pytest.fixture
def client(program: Image) -> Iterator[DockerClient]:
    opened = engine.connect()
    yield opened
    opened.close()


def site_of(path: Path) -> Site:
    sites, errors, _ = load_sites([str(path)], Options())
    assert not errors and len(sites) == 1, errors
    return sites[0]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_predicted(name: str, program: Image) -> None:
    with Session(site_of(TOP / "configs" / "nginx" / name), program) as session:
        assert disagreements(session) == []
        assert session.requests > 10


@pytest.mark.parametrize("name", TREES)
def test_a_tree_is_predicted(name: str, program: Image) -> None:
    with Session(site_of(TOP / "tests" / "trees" / name), program) as session:
        assert disagreements(session) == []
        assert session.requests > 10


def test_the_predictor_is_asked_for_the_version_of_the_image(program: Image) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", program.version)
    with Session(site_of(TOP / "configs" / "nginx" / "good.conf"), program) as session:
        assert ".".join(str(part) for part in session.site.version) == program.version


# --- what the container may do


def own_container(client: DockerClient, program: Image) -> Container:
    """The container of a program: the one that works in its folder."""
    with Folder(program) as folder:
        found = in_folder(client, os.path.dirname(folder.path))
    assert len(found) == 1
    return found[0]


def in_folder(client: DockerClient, folder: str) -> list[Container]:
    containers = client.containers.list(all=True, filters={"label": engine.LABEL}, ignore_removed=True)
    return [one for one in containers if any(each["Source"].startswith(folder) for each in one.attrs["Mounts"])]


def inside(running: Container, command: str) -> tuple[int, str]:
    code, output = running.exec_run(["/bin/sh", "-c", command])
    assert code is not None and isinstance(output, bytes)
    return code, output.decode()


def test_the_container_is_hardened(program: Image, client: DockerClient) -> None:
    running = own_container(client, program)
    settings = running.attrs["HostConfig"]
    assert settings["ReadonlyRootfs"] and settings["CapDrop"] == ["ALL"] and not settings["Privileged"]
    assert settings["PidsLimit"] == container.PIDS and settings["Memory"] == 512 << 20
    assert settings["AutoRemove"] and not settings["PortBindings"]
    status = inside(running, "cat /proc/self/status")[1]
    assert re.search(r"(?m)^CapEff:\s+0+$", status) and re.search(r"(?m)^CapBnd:\s+0+$", status)
    assert re.search(r"(?m)^NoNewPrivs:\s+1$", status)
    assert not re.search(r"(?m)^Uid:.*\b0\b", status) and not re.search(r"(?m)^Gid:.*\b0\b", status)


def test_only_one_folder_can_be_written_to(program: Image, client: DockerClient) -> None:
    running = own_container(client, program)
    with Folder(program) as folder:
        folder.write("nginx.conf", "the user's")
        if os.geteuid() == 0:
            hand_over(folder.path)  # as it is when a server starts
        for path in ("/etc/nginx/made", f"{folder.path}/nginx.conf", f"{folder.path}/made", f"{folder.path}/../made"):
            code, said = inside(running, f"echo changed >{path}")
            assert code and "ead-only" in said, path
        assert inside(running, f"echo said >{os.path.dirname(folder.state)}/made")[0] == 0
    os.unlink(f"{os.path.dirname(folder.state)}/made")


def asked(program: Image, upstream: str) -> int | None:
    """What a server in the container answers that sends its requests there."""
    (port,) = free_ports(1)
    with Folder(program) as folder:
        folder.write("nginx.conf", container.reaching(folder, port, upstream))
        folder.run(f"{folder.path}/nginx.conf", folder.path + "/")
        return send((program.address, port), b"GET / HTTP/1.0\r\n\r\n").status


def test_nothing_leaves_the_network(program: Image, client: DockerClient) -> None:
    """Not even to another address of this machine."""
    other = client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
    with Origin("here", host=program.machine) as here, Origin("elsewhere", host=other) as elsewhere:
        assert asked(program, here.address) == 200
        assert asked(program, elsewhere.address) == 502
        assert len(here.log.take()) == 1 and elsewhere.log.take() == []
        name, _, number = elsewhere.address.rpartition(":")
        assert send((name, int(number)), b"GET / HTTP/1.0\r\n\r\n").status == 200
    routes = inside(own_container(client, program), "cat /proc/net/route")[1].splitlines()[1:]
    assert [line.split()[2] for line in routes] == ["00000000"], "there is a gateway"


# --- what is left


MANY = "".join(f"location /{number}/ {{ proxy_pass http://app.example; }}\n" for number in range(400))
LONG = f"events {{}}\nhttp {{ server {{ listen 80;\n{MANY}}} }}\n"


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary files that a server of another account can enter, too."""
    path = Path(tempfile.mkdtemp(prefix="test-"))
    path.chmod(0o755)
    yield path
    path.rmdir()  # which fails where something is left


def audit(program: Image, temporary: Path, config: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "auditor", "probe", "--image", program.name, str(config)]
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(TOP)}
    return subprocess.Popen(
        command, env=environment, text=True, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def until(done: Callable[[], Any]) -> Any:
    """What `done` gives, as soon as that is something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := done()):
        assert time.monotonic() < deadline, "it does not come to pass"
        time.sleep(0.05)
    return found


def started(client: DockerClient, temporary: Path) -> str:
    """The token of the session that runs there, as soon as the configuration itself runs."""
    until(lambda: list(temporary.glob("audit-*/*/root")) and list(temporary.glob("audit-*/run/*/nginx.pid")))
    (running,) = in_folder(client, str(temporary))
    assert running.name is not None
    return running.labels[engine.LABEL]


def left(client: DockerClient, token: str) -> list[Any]:
    chosen: engine.Chosen = {"label": f"{engine.LABEL}={token}"}
    return [
        *client.containers.list(all=True, filters=chosen, ignore_removed=True),
        *client.networks.list(filters=chosen),
    ]


def test_nothing_is_left_of_a_probe(program: Image, client: DockerClient, temporary: Path) -> None:
    process = audit(program, temporary, TOP / "configs" / "nginx" / "good.conf")
    output, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint) == (0, "")
    assert output.startswith(f"nginx {program.version}: ") and " 0 not" in output
    assert in_folder(client, str(temporary)) == []


def test_nothing_is_left_of_a_refusal(program: Image, client: DockerClient, temporary: Path, tmp_path: Path) -> None:
    config = tmp_path / "nginx.conf"
    config.write_text("events {}\nhttp {\n  server { listen 80; location /a {}\n  location /a {} }\n}\n")
    process = audit(program, temporary, config)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 3
    assert complaint == f'audit: {config}:4: duplicate location "/a"\n'
    assert in_folder(client, str(temporary)) == []


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_nothing_is_left_when_it_is_ended(
    number: int, program: Image, client: DockerClient, temporary: Path, tmp_path: Path
) -> None:
    (tmp_path / "nginx.conf").write_text(LONG)
    process = audit(program, temporary, tmp_path / "nginx.conf")
    token = started(client, temporary)
    process.send_signal(number)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in complaint
    assert left(client, token) == []


def test_nothing_is_left_when_it_is_killed(
    program: Image, client: DockerClient, temporary: Path, tmp_path: Path
) -> None:
    (tmp_path / "nginx.conf").write_text(LONG)
    process = audit(program, temporary, tmp_path / "nginx.conf")
    token = started(client, temporary)
    process.kill()
    process.communicate()
    until(lambda: not left(client, token) and not list(temporary.iterdir()))


def test_a_container_ends_with_its_pipe(program: Image, client: DockerClient) -> None:
    """Even where nobody is left who could remove it."""
    with container.image(program.name) as second:
        running = own_container(client, second)
        second._shell.close()
        until(lambda: not in_folder(client, second._session))
        assert running.id not in [one.id for one in client.containers.list(all=True, ignore_removed=True)]


def test_what_was_forgotten_is_removed_by_the_next(
    program: Image, client: DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks without a container and containers that do not run, when they have been there for a while."""
    name = f"audit-test-{secrets.token_hex(6)}"
    monkeypatch.setattr(engine, "LABEL", name)
    label = {name: "x"}
    image = client.images.get(program.name)
    network = client.networks.create(name, internal=True, labels=label)
    used = client.networks.create(f"{name}-used", internal=True, labels=label)
    dead = client.containers.create(image, labels=label, name=name)
    live = client.containers.create(
        image, entrypoint=["/bin/sh", "-c", "sleep 60"], labels=label, name=f"{name}-live", network=used.name
    )
    live.start()
    try:
        engine.sweep(client)
        assert {one.id for one in left(client, "x")} == {network.id, used.id, dead.id, live.id}
        monkeypatch.setattr(engine, "ABANDONED", -60)
        engine.sweep(client)
        assert {one.id for one in left(client, "x")} == {used.id, live.id}
    finally:
        engine.remove(client, "x")
    assert left(client, "x") == []


# --- what is missing


def test_a_missing_image_is_not_fetched(program: Image) -> None:
    with pytest.raises(Unavailable, match=r"no image nginx:0\.0\.1 .*: docker pull nginx:0\.0\.1$"):
        container.image("nginx:0.0.1").__enter__()


def test_the_command_says_what_is_missing(temporary: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(TOP), "DOCKER_HOST": "unix:///nowhere"}
    command = [sys.executable, "-m", "auditor", "probe", "--image", "x", str(TOP / "configs/nginx/good.conf")]
    run = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    assert (run.returncode, run.stdout) == (4, "")
    assert run.stderr.startswith("audit: no Docker engine at unix:///nowhere: start it")
    environment["DOCKER_HOST"] = "tcp://192.0.2.1:2375"
    run = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    assert (run.returncode, run.stdout) == (4, "")
    assert run.stderr.startswith("audit: DOCKER_HOST is tcp://192.0.2.1:2375; --image needs an engine of this machine")


def test_no_permission_is_told_from_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = pytest.importorskip("docker")
    said = "Error while fetching server API version: ('Connection aborted.', PermissionError(13, 'Permission denied'))"

    def refuse(**_: Any) -> Any:
        raise docker.errors.DockerException(said)

    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(docker, "from_env", refuse)
    with pytest.raises(Unavailable, match=r"no permission .* group docker"):
        engine.connect()


@pytest.mark.parametrize(
    ("address", "machine", "said"),
    (
        ("", "bridge", "cannot reach this machine at .* firewall"),
        ("127.0.0.2", "", "container at 127.0.0.2 cannot be reached .* not Docker Desktop"),
        ("", "192.0.2.1", "cannot listen on 192.0.2.1.* not Docker Desktop"),
    ),
    ids=("firewall", "not reached", "networks elsewhere"),
)
def test_who_does_not_reach_whom(
    address: str, machine: str, said: str, program: Image, client: DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    if machine == "bridge":  # an address of this machine that the container cannot reach
        machine = client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
    true = container._addresses

    def wrong(*of: Any) -> tuple[str, str]:
        right = true(*of)
        return address or right[0], machine or right[1]

    monkeypatch.setattr(container, "_addresses", wrong)
    with pytest.raises(Unavailable, match=said):
        container.image(program.name).__enter__()
