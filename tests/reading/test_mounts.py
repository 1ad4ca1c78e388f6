"""What Compose files and Dockerfiles say: templates that the image fills in, and the version of the server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.check import Options, load_sites
from auditor.files import Files
from auditor.source import read_source
from auditor.surroundings import Surroundings
from tests.reading.conftest import read_path

Write = Callable[[dict[str, str | bytes]], Path]
MAIN = "events {}\nhttp { include /etc/nginx/conf.d/*.conf; }\n"
SITE = "server { listen ${PORT}; location / { proxy_pass http://$API:8000$request_uri; } }\n"
COMPOSE = """\
services:
  web:
    image: nginx:1.28
    environment:
      PORT: "8080"  # of the container
      API: api.internal
      LATER: ${LATER}
    volumes:
      - ./nginx.conf:/etc/nginx/nginx.conf:ro
      - ./templates:/etc/nginx/templates:ro
  other:
    image: redis
    environment:
      - PORT=1
"""


def test_templates_become_parts(write: Write) -> None:
    write(
        {
            "docker-compose.yml": COMPOSE,
            "nginx.conf": MAIN,
            "templates/site.conf.template": SITE,
            "templates/more/deep.conf.template": "",
            "templates/notes.txt": "",
        }
    )
    tree = read_path("nginx.conf")
    assert [source.name for source in tree.files] == ["nginx.conf", "templates/site.conf.template"]
    words = {line.name: line.args for line in tree.walk()}
    assert words["listen"] == ["8080"]
    assert words["proxy_pass"] == ["http://api.internal:8000$request_uri"]
    assert [note.kind for note in tree.notes] == ["template", "assumed"]
    files = Files(read_source("nginx.conf"))
    assert files.local("/etc/nginx/conf.d/more/deep.conf", guess=False) is not None
    assert files.local("/etc/nginx/conf.d/notes.txt", guess=False) is None
    sites, errors, _ = load_sites(["."], Options())
    assert (len(sites), errors) == (1, [])


def test_templates_in_a_folder_that_is_mounted_as_a_whole(write: Write) -> None:
    compose = "services:\n  web:\n    environment:\n      PORT: 82\n    volumes:\n      - ./nginx:/etc/nginx\n"
    write({"compose.yaml": compose, "nginx/nginx.conf": MAIN, "nginx/templates/a.conf.template": SITE})
    (line,) = (line for line in read_path("nginx/nginx.conf", tree=".").walk() if line.name == "listen")
    assert line.args == ["82"]


def test_a_template_alone_has_the_values(write: Write) -> None:
    write({"compose.yaml": COMPOSE, "templates/site.conf.template": SITE})
    (line,) = (line for line in read_path("templates/site.conf.template", tree=".").walk() if line.name == "listen")
    assert line.args == ["8080"]
    assert line.place.text == "listen ${PORT};"


def test_values_that_are_not_said_stay_unknown(write: Write) -> None:
    text = "set $a ${LATER}; set $b $PORTS; set $c ${TWO}; set $d $host; set $e ${API_TOKEN};"
    compose = COMPOSE.replace("API: api.internal", "TWO: two words\n      API_TOKEN: s3cret")
    write({"compose.yaml": compose, "nginx.conf": MAIN, "templates/a.conf.template": text})
    assert [line.args[1] for line in read_path("nginx.conf").walk() if line.name == "set"] == [
        "${LATER}",
        "$PORTS",
        "${TWO}",
        "$host",
        "${API_TOKEN}",
    ]


def test_templates_of_a_dockerfile(write: Write) -> None:
    dockerfile = "FROM nginx\nENV PORT=8080 API=a.internal\nCOPY web/nginx.conf /etc/nginx/\n"
    dockerfile += "COPY web/site.template /etc/nginx/templates/site.conf.template\n"
    write({"Dockerfile": dockerfile, "web/nginx.conf": MAIN, "web/site.template": SITE})
    (line,) = (line for line in read_path("web/nginx.conf", tree=".").walk() if line.name == "listen")
    assert line.args == ["8080"]


def test_templates_with_another_place_to_go(write: Write) -> None:
    """The main file itself is often a template: the image is told to write it one folder further up."""
    compose = "services:\n  web:\n    environment:\n    - NGINX_ENVSUBST_OUTPUT_DIR=/etc/nginx\n    - PORT=81\n"
    compose += "    volumes: \n    - ./conf:/etc/nginx/templates\n"
    write({"compose.yaml": compose, "conf/nginx.conf.template": "events {}\nhttp { server { listen $PORT; } }\n"})
    files = Files(read_source("conf/nginx.conf.template"), tree=".")
    assert files.local("/etc/nginx/nginx.conf", guess=False) is not None
    (line,) = (line for line in read_path("conf/nginx.conf.template", tree=".").walk() if line.name == "listen")
    assert line.args == ["81"]


def test_variables_of_volumes(write: Write) -> None:
    compose = "services:\n  web:\n    volumes:\n      - ${CONF:-./conf}:/etc/nginx\n      - ${DATA}/x:/srv\n"
    folder = write({"compose.yaml": compose, "conf/nginx.conf": MAIN})
    (group,) = Surroundings().mounts(str(folder / "conf"), str(folder))
    assert group.pairs == [("/etc/nginx", str(folder / "conf"))]


@pytest.mark.parametrize(
    ("name", "text", "version"),
    [
        ("compose.yaml", "services:\n  p:\n    image: ${NGINX_IMAGE:-nginx:1.28}\n", "1.28"),
        ("compose.yaml", 'services:\n  p:\n    image: "nginx:${NGINX_VERSION:-1.28.2}-alpine"\n', "1.28.2"),
        ("compose.yaml", "services:\n  p:\n    image: nginx:${FROM_ENV:-1.28}\n", "1.24"),
        ("compose.yaml", "services:\n  p:\n    image: ${NGINX_IMAGE}\n", None),
        ("Dockerfile", "ARG NGINX_VERSION=1.28\nFROM nginx:${NGINX_VERSION}\n", "1.28"),
        ("Dockerfile", 'ARG V="1.28.0"\nFROM docker.io/library/nginx:$V-alpine AS web\n', "1.28.0"),
        ("Dockerfile", "ARG BASE=nginx:1.28\nFROM ${BASE}\n", "1.28"),
        ("Dockerfile", "ARG NGINX_VERSION\nFROM nginx:${NGINX_VERSION}\n", None),
    ],
)
def test_version_in_a_variable(name: str, text: str, version: str | None, write: Write) -> None:
    folder = write({name: text, ".env": "# what differs here\nFROM_ENV=1.24\n"})
    assert Surroundings().image_versions(str(folder), str(folder)) == ([version] if version else [])
