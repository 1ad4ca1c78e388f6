"""Configurations of httpd in the sandbox: as predicted from the user's text, and nothing missed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auditor.check import Options, load_sites
from probes.probing import Session
from probes.runners import httpd
from probes.runners.httpd import Httpd
from tests import live
from tests.live import disagreements

HERE = Path(__file__).parent / "httpd"
# Each is a file, or a folder; its first line names the upstreams and programs that must have been reached.
MAINS = {"debian": "apache2.conf", "tree": "conf/httpd.conf", "alone": ".htaccess", "secure": ".htaccess"}
CASES = sorted([path.stem for path in HERE.glob("*.conf")] + list(MAINS))
# Requests that no route stands for.
FURTHER = {
    "proxy": ["http://a.example/tenant/a/"],
    "tree": ["http://tree.example/api/x", "http://tree.example/a.run"],
    "handlers": [f"http://a.example/{path}" for path in ("files/", "files/a.css", "files/a.php", "a.run", "a.php")],
}
ASKED = {"method": "GET", "headers": [], "client_ip": "127.0.0.1", "upstream_response": {"status": 200}}
NEEDED = {"php": "php", "gateways": "wsgi"}


@pytest.fixture(scope="module")
def program() -> Iterator[Httpd]:
    found = httpd.find()
    if found is None:
        live.unavailable("no httpd with loadable modules found: install apache2")
    yield found


def site_of(path: Path) -> Any:
    pages = ("/var/www/html", str(path.parent.parent / "html"))
    sites, errors, _ = load_sites([str(path)], Options(kind="apache", roots=(pages,) if "tree" in path.parts else ()))
    assert not errors
    (site,) = sites
    return site


@pytest.mark.parametrize("name", CASES)
def test_the_sandbox_does_what_the_configuration_says(name: str, program: Httpd, tmp_path: Path) -> None:
    if name in NEEDED and NEEDED[name] not in program.modules:
        live.unavailable(f"this httpd has no module {NEEDED[name]}")
    if name in MAINS:
        shutil.copytree(HERE / name, tmp_path / name)
        main = tmp_path / name / MAINS[name]
    else:
        main = Path(shutil.copy(HERE / f"{name}.conf", tmp_path / "httpd.conf"))
    line = main.read_text("latin-1").splitlines()[0].removeprefix("# reaches: ")
    wanted = {word.replace("_", " ") for word in line.replace("php (assumed)", "php_(assumed)").split()}
    reached: set[str] = set()
    lines = [{**ASKED, "url": url} for url in FURTHER.get(name, ())]
    with Session(site_of(main), program, witnesses=lines) as session:
        assert disagreements(session, reached) == []
    assert reached == wanted


SAMPLES = Path(__file__).parents[2] / "configs" / "apache"
MAIN = ("*/broken.conf", "*/mended.conf", "*/good.conf", "*/*/.htaccess", "*/*/public_html/.htaccess")


@pytest.mark.parametrize("path", sorted(str(path.relative_to(SAMPLES)) for one in MAIN for path in SAMPLES.glob(one)))
def test_a_sample_does_what_is_predicted(path: str, program: Httpd) -> None:
    sites, _, _ = load_sites([str(SAMPLES / path)], Options(kind="apache"))
    with Session(sites[0], program) as session:
        assert disagreements(session) == []
