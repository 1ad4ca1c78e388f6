"""Folders of many configurations: the same bytes from any number of processes, and every way to end badly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "auditor"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
ENVIRONMENT.pop("PYTHONUNBUFFERED", None)  # Python itself then does not notice that a reader has gone

SITE = """\
{padding}
server {{
    listen 80;
    server_name {name}.example;
    location / {{
        include snippets/headers.conf;
        proxy_pass http://127.0.0.1:9000;
        proxy_pass_request_headers off;{comment}
    }}
}}
"""
MAIN = "events {{}}\nhttp {{\n    include {name}.site;\n}}\n"

# Runs the command with what stands in place of the reading of a configuration.
PATCHED = """
import os, signal, sys, time
from auditor import check
from auditor.cli import main
read = check.load_entry
def load_entry(entry, options):
    name = os.path.basename(os.path.dirname(entry.source.name))
{body}
    return read(entry, options)
check.load_entry = load_entry
main.run()
"""


def audit(folder: Path | str, *arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *arguments]
    return subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=check
    )


def sites(folder: Path, count: int, padding: int = 600) -> Path:
    """Configurations in folders of their own, each large enough for a process, with findings and comments."""
    for number in range(count):
        name = f"s{number:02d}"
        comment = ("", "  # audit: ignore[stripped-authorization] it has none", "  # audit: ignore[open-gate] no")[
            number % 3
        ]
        one = folder / name
        (one / "snippets").mkdir(parents=True)
        (one / "nginx.conf").write_text(MAIN.format(name=name) + "# it is long\n" * padding)
        (one / f"{name}.site").write_text(SITE.format(name=name, comment=comment, padding="# it is long\n" * padding))
        (one / "snippets/headers.conf").write_text("proxy_set_header X-Remote-User $http_x_remote_user;\n")
    return folder


def reports(folder: Path, work: Path, jobs: int, *arguments: str) -> list[bytes]:
    """What a run writes in each format, to standard error, and its status."""
    outputs = [work / f"{jobs}.{name}" for name in ("json", "sarif", "github")]
    for output in outputs:
        arguments += ("--format", output.suffix[1:], "--output", str(output))
    done = audit(folder, *arguments, "--format", "text", "--show", "info", "--jobs", str(jobs))
    assert "Traceback" not in done.stderr
    texts = [output.read_bytes() for output in outputs]
    return [*texts, done.stdout.encode(), done.stderr.encode(), str(done.returncode).encode()]


def test_the_trees_give_the_same_bytes_from_one_process_and_from_two(tmp_path: Path) -> None:
    one, two = (reports(ROOT, tmp_path, jobs, "tests/trees", "tests/incidents") for jobs in (1, 2))
    assert one == two
    assert len(json.loads(one[0])["findings"]) > 50


def test_what_is_shared_is_merged_alike(tmp_path: Path) -> None:
    """A snippet that all include, comments that silence something and others that do not, one input that cannot be
    read and one that is not whole, and a baseline of half of it."""
    folder = sites(tmp_path / "sites", 7)
    (folder / "s05/snippets/headers.conf").unlink()
    (folder / "s06/s06.site").write_bytes(b"\0")
    (folder / "s04/nginx.conf").write_text("http {\n" + " " * 9000)
    baseline = str(tmp_path / "baseline.json")
    audit(folder, "s00", "s01", "--write-baseline", baseline, check=True)
    one, two = (reports(folder, tmp_path, jobs, ".", "gone.conf", "--baseline", baseline) for jobs in (1, 2))
    assert one == two
    told = one[4].decode()
    assert [name in told for name in ("gone.conf: ", "s04/nginx.conf:", "s05/", "s06/s06.site:")] == [True] * 4
    assert one[5] == b"3"
    found = {(item["file"], item["rule"], item["known"]) for item in json.loads(one[0])["findings"]}
    assert ("s00/s00.site", "stripped-authorization", True) in found
    assert ("s03/s03.site", "stripped-authorization", False) in found
    assert ("s02/s02.site", "unused-suppression", False) in found
    assert "could not be read (1 suppressed, 3 known from the baseline" in one[3].decode()


def patched(folder: Path, body: str, *arguments: str) -> subprocess.Popen[bytes]:
    """The command in a session of its own, `body` run wherever a configuration is read; `name` is its folder's."""
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    command = [sys.executable, "-c", PATCHED.format(body=indented), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=pipe, stderr=pipe, start_new_session=True)


# Says which processes read, and never ends.
SLEEP = """
if os.getppid() != {test}:
    open("{pids}/%d" % os.getpid(), "w").close()
    time.sleep({seconds})
"""


def ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # One that nobody has waited for (there may be no init here to do so) has ended, too.
    return Path(f"/proc/{pid}/stat").exists() and ") Z " in Path(f"/proc/{pid}/stat").read_text()


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by signal 9 (out of memory?)"),
        ("os._exit(3)", "ended by itself, with status 3"),
    ],
)
def test_a_process_that_dies_is_told_with_its_configuration(tmp_path: Path, ending: str, told: str) -> None:
    folder = sites(tmp_path, 6)
    run = patched(folder, f'if name == "s03":\n    {ending}', ".", "--jobs", "2")
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out) == (4, b"")
    assert err.decode() == f"audit: s03/nginx.conf: the process that audits it {told}\n"


def test_a_fault_in_another_process_looks_like_one_in_this(tmp_path: Path) -> None:
    folder = sites(tmp_path, 6)
    run = patched(folder, 'if name == "s03":\n    raise KeyError("what")', ".", "--jobs", "2")
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out) == (4, b"")
    assert "in load_entry\n" in err.decode()
    assert "KeyError: 'what'\n(while auditing s03/nginx.conf)\naudit: this is a fault of audit itself" in err.decode()


def test_too_deep_a_configuration_ends_as_in_one_process(tmp_path: Path) -> None:
    folder = sites(tmp_path, 6)
    run = patched(folder, 'if name == "s03":\n    raise RecursionError', ".", "--jobs", "2")
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out, err) == (3, b"", b"audit: a configuration is nested too deeply\n")


@pytest.mark.parametrize("whole_group", [True, False])
def test_ctrl_c_ends_all_of_them(tmp_path: Path, whole_group: bool) -> None:
    folder = sites(tmp_path / "sites", 8)
    pids = tmp_path / "pids"
    pids.mkdir()
    body = SLEEP.format(test=os.getpid(), pids=pids, seconds=600)
    run = patched(folder, body, ".", "--jobs", "2")
    try:
        deadline = time.monotonic() + 60
        while len(list(pids.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        workers = [int(path.name) for path in pids.iterdir()]
        assert len(workers) == 2 and run.pid not in workers
        if whole_group:  # as a terminal does
            os.killpg(run.pid, signal.SIGINT)
        else:
            run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=60)
        assert (run.returncode, out, err) == (130, b"", b"")
        assert [ended(pid) for pid in workers] == [True, True]
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()


def test_workers_end_when_the_command_is_killed(tmp_path: Path) -> None:
    folder = sites(tmp_path / "sites", 8)
    pids = tmp_path / "pids"
    pids.mkdir()
    body = SLEEP.format(test=os.getpid(), pids=pids, seconds=0.5)
    run = patched(folder, body, ".", "--jobs", "2")
    deadline = time.monotonic() + 60
    while len(list(pids.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    workers = [int(path.name) for path in pids.iterdir()]
    run.kill()
    run.communicate(timeout=60)  # the workers hold its standard output: it ends with them
    while not all(ended(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [ended(pid) for pid in workers] == [True, True]


def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    folder = sites(tmp_path, 6)
    command = [*COMMAND, ".", "--format", "sarif", "--jobs", "2"]
    run = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout is not None and run.stderr is not None
    assert os.read(run.stdout.fileno(), 20)  # the log is longer than a pipe holds
    run.stdout.close()
    assert run.stderr.read() == b""
    assert run.wait(timeout=60) == 0


@pytest.mark.parametrize(("jobs", "status"), [("0", 2), ("-1", 2), ("x", 2), ("1", 1), ("64", 1)])
def test_number_of_jobs(tmp_path: Path, jobs: str, status: int) -> None:
    done = audit(sites(tmp_path, 3), ".", "--jobs", jobs)
    assert done.returncode == status, done.stderr


# What stays of configurations that have been judged, and the most that was there at once, in bytes.
MEMORY = """
import gc, sys, tracemalloc
from auditor import rules
from auditor.check import Options, check
from auditor.source import SourceFile
for name in rules.NAMES:
    rules.load(name)
check(["s00", "s01"], Options())
tracemalloc.start()
report = check(["."], Options(), jobs=int(sys.argv[1]))
peak = tracemalloc.get_traced_memory()[1]
gc.collect()
kept = tracemalloc.get_traced_memory()[0]
texts = sum(len(one.text) for one in gc.get_objects() if isinstance(one, SourceFile))
print(len(report.findings), texts, kept, peak)
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_texts_are_not_kept(tmp_path: Path, jobs: int) -> None:
    """Of each configuration of 130 kB only the lines stay that findings speak of, and eight more of them need no more
    memory, neither at the end nor on the way."""
    peaks = []
    for count in (4, 12):
        folder = sites(tmp_path / str(count), count, padding=5000)
        command = [sys.executable, "-c", MEMORY, str(jobs)]
        done: Any = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=True)
        findings, texts, kept, peak = map(int, done.stdout.split())
        assert findings >= count
        assert texts < count * 400
        assert kept < 400_000
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 400_000
