"""The benchmark measures what it says: configurations of the announced size that the real server accepts."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.check import Options, check
from bench import generate
from bench.measure import Failed, interleaved, run
from probes.runners import local


@pytest.mark.parametrize("lines", [50, 1_000, 10_000])
def test_number_of_lines(lines: int, tmp_path: Path) -> None:
    text = Path(generate.write(str(tmp_path), lines)).read_text()
    assert text.count("\n") == lines


def test_many_configurations_differ_and_nginx_accepts_them(nginx: local.Binary, tmp_path: Path) -> None:
    paths = generate.write_many(str(tmp_path), 30, 200)
    texts = [Path(path).read_text() for path in paths]
    assert [text.count("\n") for text in texts] == [200] * 30
    assert len(set(texts)) == 30
    for path in (paths[0], paths[12], paths[29]):
        assert_accepted(path, nginx)


def test_ten_thousand_lines_have_1200_locations() -> None:
    assert len(re.findall(r"^\s*location ", generate.nginx_conf(10_000), re.MULTILINE)) == 1200


@pytest.mark.parametrize("lines", [50, 1_000])
def test_nginx_accepts_it(lines: int, nginx: local.Binary, tmp_path: Path) -> None:
    assert_accepted(generate.write(str(tmp_path), lines), nginx)


def assert_accepted(path: str, nginx: local.Binary) -> None:
    folder = Path(path).parent
    settings = f"pid {folder}/pid; error_log stderr;"
    text = Path(path).read_text().replace("/var/log/nginx/", f"{folder}/")
    Path(path).write_text(text)
    command = [nginx.path, "-t", "-p", f"{folder}/", "-e", "stderr", "-c", path, "-g", settings]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_process_is_measured() -> None:
    # A process begins as a copy of this one, which has grown with the tests before.
    size = 200 + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    small = [sys.executable, "-c", "pass"]
    large = [sys.executable, "-c", f"b = bytearray({size} << 20)"]
    runs = interleaved({"small": small, "large": large}, 2)
    assert [len(one.all) for one in runs.values()] == [2, 2]
    assert runs["large"].peak() > size > runs["small"].peak()


def test_a_program_that_fails_is_no_measurement() -> None:
    with pytest.raises(Failed, match="exit status 4"):
        run([sys.executable, "-c", "raise SystemExit(4)"])


def test_httpd(tmp_path: Path) -> None:
    assert Path(generate.write_htaccess(str(tmp_path))).read_text().count("\n") == generate.SMALL_LINES
    report = check([generate.write_httpd(str(tmp_path), 3), str(tmp_path / ".htaccess")], Options())
    assert not report.errors
    assert {Path(name).name for name in report.files} == {"httpd.conf", ".htaccess"}
