"""Copies of the packages' and images' layouts in a repository, and the entries of folders."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.check import Options, load_sites
from auditor.discover import discover
from auditor.server import Site

Write = Callable[[dict[str, str]], Path]
VHOST = "<VirtualHost *:80>\n  ServerName v.example\n  <Location /shut>\n    Require all denied\n"
VHOST += "  </Location>\n</VirtualHost>\n"
MODULES = "".join(
    f"LoadModule {name}_module modules/mod_{name}.so\n"
    for name in ("mpm_event", "authz_core", "authn_core", "alias", "dir", "headers")
)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes files below the working folder, a repository; "-> target" makes a link."""
    monkeypatch.chdir(tmp_path)

    def write(files: dict[str, str]) -> Path:
        (tmp_path / ".git").mkdir(exist_ok=True)
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text.startswith("-> "):
                path.symlink_to(text[3:])
            else:
                path.write_text(text)
        return tmp_path

    return write


def entries(*paths: str) -> list[str]:
    found = discover(paths, Options())
    assert not found.errors
    return [named.name for named in found.entries]


def only(path: str) -> Site:
    (site,), errors, _ = load_sites([path], Options())
    assert not errors
    assert not site.errors, list(site.errors)
    return site


def read(site: Site) -> set[str]:
    return {os.path.relpath(source.name) for source in site.files}


DEBIAN = {
    "apache2.conf": "Mutex file:${APACHE_LOCK_DIR} default\nIncludeOptional mods-enabled/*.load\n"
    "IncludeOptional mods-enabled/*.conf\nInclude ports.conf\nIncludeOptional conf-enabled/*.conf\n"
    "IncludeOptional sites-enabled/*.conf\n",
    "ports.conf": "Listen 80\n",
    "mods-available/base.load": MODULES,
    "mods-enabled/base.load": "-> ../mods-available/base.load",
    "mods-available/never.conf": "<IfModule never>\nDeny from all\n</IfModule>\n",
    "conf-available/off.conf": "ServerTokens Prod\n<Directory /srv>\nRequire all denied\n</Directory>\n",
    "conf-available/on.conf": "<Directory /srv/x>\nRequire all granted\n</Directory>\n",
    "conf-enabled/on.conf": "-> ../conf-available/on.conf",
    "sites-available/v.conf": VHOST,
    "sites-enabled/v.conf": "-> ../sites-available/v.conf",
}


def test_debian(write: Write) -> None:
    write({f"etc/apache2/{name}": text for name, text in DEBIAN.items()})
    assert entries(".") == ["etc/apache2/apache2.conf"]
    assert entries("etc/apache2/sites-available/v.conf") == ["etc/apache2/apache2.conf"]
    site = only("etc/apache2/apache2.conf")
    assert [route.request.host for route in site.routes()][:1] == ["v.example"]
    assert not [note for note in site.notes if "LoadModule" in note.text]


def test_debian_without_the_packages_own_files(write: Write) -> None:
    write({name: DEBIAN[name] for name in ("apache2.conf", "sites-available/v.conf", "sites-enabled/v.conf")})
    site = only("apache2.conf")
    texts = [note.text for note in site.notes]
    assert len(texts) == len(set(texts))
    assert not any(note.kind == "unread" for note in site.notes)


RHEL = {
    "conf/httpd.conf": 'ServerRoot "/etc/httpd"\nListen 80\nInclude conf.modules.d/*.conf\n'
    'DocumentRoot "/var/www/html"\n<Directory "/var/www/html">\nAllowOverride All\nRequire all granted\n</Directory>\n'
    "IncludeOptional conf.d/*.conf\n",
    "conf.modules.d/00-base.conf": MODULES,
    "conf.d/v.conf": VHOST,
    "html/index.html": "",
    "html/.htaccess": "Header set X a\n",
    "html/sub/.htaccess": "Header set Y b\n",
}


@pytest.mark.parametrize("path", [".", "conf.d/v.conf", "html/.htaccess", "html/sub/.htaccess", "conf/httpd.conf"])
def test_red_hat(write: Write, path: str) -> None:
    write(RHEL)
    assert entries(path) == ["conf/httpd.conf"]
    site = only(path)
    list(site.routes())
    assert read(site) >= {"conf/httpd.conf", "conf.modules.d/00-base.conf", "conf.d/v.conf"}


def test_public_image(write: Write) -> None:
    main = f'ServerRoot "/usr/local/apache2"\nListen 80\n{MODULES}Include conf/extra/httpd-vhosts.conf\n'
    main += "Include conf/extra/httpd-default.conf\n"
    write({"conf/httpd.conf": main, "conf/extra/httpd-vhosts.conf": VHOST})
    assert entries(".") == ["conf/httpd.conf"]
    assert read(only(".")) == {"conf/httpd.conf", "conf/extra/httpd-vhosts.conf"}


def test_copied_by_a_dockerfile(write: Write) -> None:
    docker = "FROM httpd:2.4\nCOPY ./my.conf /usr/local/apache2/conf/httpd.conf\n"
    docker += "COPY sites/ /usr/local/apache2/conf/sites/\n"
    main = f'ServerRoot "/usr/local/apache2"\nListen 80\n{MODULES}Include conf/sites/*.conf\n'
    write({"Dockerfile": docker, "my.conf": main, "sites/v.conf": VHOST})
    assert entries(".") == ["my.conf"]
    assert entries("sites/v.conf") == ["my.conf"]


def test_modules_that_a_dockerfile_switches_on(write: Write) -> None:
    vhost = "<VirtualHost *:80>\n<IfModule mod_php.c>\nRedirect 410 /php\n</IfModule>\n"
    vhost += "<IfModule mod_cern_meta.c>\nRedirect 410 /meta\n</IfModule>\n</VirtualHost>\n"
    write({"Dockerfile": "FROM php:8.2-apache\nRUN set -e; a2enmod cern_meta \\\n  rewrite && true\n", "v.conf": vhost})
    patterns = {route.pattern for route in only("v.conf").routes()}
    assert {"Redirect /php", "Redirect /meta"} <= patterns


def test_a_document_root_of_which_only_guarded_folders_are_kept(write: Write) -> None:
    vhost = "<VirtualHost *:80>\nServerName a.example\nDocumentRoot /srv/club/pages\n<Directory /srv/club/pages>\n"
    vhost += "AllowOverride All\n</Directory>\nProxyPass /board http://127.0.0.1:9000/board\n</VirtualHost>\n"
    gate = "AuthType Basic\nAuthName A\nAuthUserFile /srv/users\nRequire valid-user\n"
    write({"vhost.conf": vhost, "pages/members/.htaccess": gate, "pages/board/.htaccess": gate})
    assert entries(".") == ["vhost.conf"]
    site = only("vhost.conf")
    list(site.routes())
    assert read(site) == {"vhost.conf", "pages/members/.htaccess", "pages/board/.htaccess"}
    assert {area.prefix for area in site.areas()} == {"/members/", "/board/"}


def test_topmost_access_file(write: Write) -> None:
    write({"app/.htaccess": "Options -Indexes\n", "app/a/b/.htaccess": "Header set X y\n", "other/.htaccess": ""})
    assert entries(".") == ["app/.htaccess", "other/.htaccess"]
    assert entries("app/a/b/.htaccess") == ["app/.htaccess"]
    site = only("app/a/b/.htaccess")
    list(site.routes())
    assert read(site) == {"app/.htaccess", "app/a/b/.htaccess"}


def test_other_files_that_are_called_alike(write: Write) -> None:
    write(
        {
            "httpd.service": "[Unit]\nDescription=Apache\n",
            "apache.yml": "- hosts: all\n",
            "apache2.logrotate": "/var/log/apache2/*.log {\n  weekly\n}\n",
            "apache-notes.conf": "Header files are found in include\n",
        }
    )
    assert entries(".") == []


def test_editors_text_of_a_file_that_is_not_there(write: Write) -> None:
    from auditor import source

    write({})
    source.stand_ins["-"] = b"Require all denied\n"
    try:
        (site,), errors, _ = load_sites(["-"], Options(stdin_name="new/folder/.htaccess"))
    finally:
        del source.stand_ins["-"]
    assert not errors
    assert site.partial
