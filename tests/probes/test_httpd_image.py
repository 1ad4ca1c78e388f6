"""httpd of a Docker image: the same configurations, in a container."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.probing import Session
from probes.runners import container, httpd
from probes.runners.httpd import Httpd
from probes.runners.program import Unavailable
from tests import live
from tests.live import disagreements
from tests.probes.commands import Place
from tests.probes.test_httpd_sandbox import HERE, MAINS, site_of

IMAGE = os.environ.get("AUDIT_TEST_HTTPD_IMAGE", "")
needs_image = pytest.mark.skipif(not IMAGE, reason="AUDIT_TEST_HTTPD_IMAGE names no image")


@pytest.fixture(scope="module")
def contained() -> Iterator[Httpd]:
    try:
        with container.image(IMAGE, kind="apache") as image:
            yield httpd.contained(image)
    except Unavailable as error:
        live.unavailable(str(error))


@needs_image
@pytest.mark.parametrize("name", ["proxy", "gates", "debian", "alone"])
def test_a_container_does_what_the_configuration_says(name: str, contained: Httpd, tmp_path: Path) -> None:
    if name in MAINS:
        shutil.copytree(HERE / name, tmp_path / name)
        main = tmp_path / name / MAINS[name]
    else:
        main = Path(shutil.copy(HERE / f"{name}.conf", tmp_path / "httpd.conf"))
    with Session(site_of(main), contained) as session:
        assert disagreements(session) == []


@needs_image
def test_the_command_leaves_no_container(place: Place) -> None:
    config = place.write("conf/httpd.conf", "Listen 80\nServerName a.example\nProxyPass / http://app/\n")
    done = place.run(config, "--image", IMAGE)
    done.assert_probed()
    assert done.out.startswith("httpd 2.4")


@needs_image
def test_an_image_of_another_server(place: Place) -> None:
    config = place.write("nginx.conf", "events {} http { server { listen 80; } }")
    done = place.run(config, "--image", IMAGE)
    assert done.status == 4 and "has no nginx" in done.err, done
