"""Reading httpd's configuration: what is wrong is told with its line, as httpd itself tells it; nothing else is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from auditor.check import Options, load_sites
from auditor.http import make_request
from auditor.servers.apache.syntax import parse, words_of
from auditor.source import InputError, source_of
from tests.live import unavailable

APACHE = shutil.which("apache2") or shutil.which("httpd")
MODULES = Path("/usr/lib/apache2/modules")

# text, and the line at which httpd refuses it (None: it starts). Each is given to the real server, too.
TEXTS = {
    "continued": ("ServerName a.example\nServerAdmin \\\n  me@a.example\n", None),
    "two backslashes": ("ServerAdmin a\\\\\nNoSuchDirective\nServerAdmin x\n", None),
    "comment continued": ("# a comment \\\nNoSuchDirective\nServerName a.example\n", None),
    "indented": ("   \t ServerName a.example  \n", None),
    "crlf": ("ServerName a.example\r\n<Directory />\r\n  AllowOverride None\r\n</Directory>\r\n", None),
    "quoted": ('ServerAdmin "me \\"x\\" you"\n<Directory "/a b">\nAllowOverride None\n</Directory>\n', None),
    "case": ("sErVeRnAmE a.example\n<dIrEcToRy />\nallowoverride none\n</DIRECTORY>\n", None),
    "unclosed": ("ServerName a.example\n<Directory />\nAllowOverride None\n", 2),
    "closed by another": ("<Directory />\nAllowOverride None\n</Location>\n", 3),
    "closed without opening": ("ServerName a.example\n</Directory>\n", 2),
    "no bracket": ("<Directory /\nAllowOverride None\n</Directory>\n", 1),
    "auth at the server": ("ServerName a.example\nAuthType Basic\n", 2),
    "cgipassauth at the server": ("CGIPassAuth On\n", 1),
    "listen in a section": ("<Directory />\nListen 127.0.0.1:1\n</Directory>\n", 2),
    "define": ("Define who a.example\nServerName ${who}\n<IfDefine who>\nServerAdmin x@${who}\n</IfDefine>\n", None),
    "ifdefine not": ("<IfDefine nobody>\nAuthType Basic\n</IfDefine>\n", None),
    "ifmodule": (
        "<IfModule !mod_dir.c>\nAuthType Basic\n</IfModule>\n<IfModule dir_module>\nDirectoryIndex a\n</IfModule>\n",
        None,
    ),
    "ifversion": (
        "<IfVersion < 2.4>\nAuthType Basic\n</IfVersion>\n<IfVersion >= 2.4.1>\nServerName a\n</IfVersion>\n",
        None,
    ),
    "macro": (
        "<Macro host $name $dir>\n<Directory $dir>\nAllowOverride None\n</Directory>\n</Macro>\n"
        "Use host a.example /tmp\n",
        None,
    ),
    "macro undefined": ("ServerName a.example\nUse nothing a\n", 2),
    "include missing": ("ServerName a.example\nInclude nowhere.conf\n", 2),
    "include optional": ("ServerName a.example\nIncludeOptional nowhere/*.conf\nIncludeOptional nowhere.conf\n", None),
}
_HEAD = "ServerRoot {folder}\nPidFile {folder}/pid\nErrorLog {folder}/log\nListen 127.0.0.1:1\n"
_LOADED = ("mpm_event", "authz_core", "authn_core", "dir", "macro", "alias")


def _write(folder: Path, text: str) -> tuple[Path, int]:
    """The text as a main file, behind what the server needs; and how many lines stand above it."""
    head = _HEAD.format(folder=folder)
    head += "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in _LOADED)
    path = folder / "httpd.conf"
    path.write_bytes((head + text).encode("latin-1"))
    return path, head.count("\n")


@pytest.mark.parametrize("name", TEXTS)
def test_refused_where_httpd_refuses(name: str, tmp_path: Path) -> None:
    text, line = TEXTS[name]
    path, above = _write(tmp_path, text)
    _, errors, _ = load_sites([str(path)], Options())
    said = [error.line - above for error in errors]
    assert said == ([] if line is None else [line]), errors


@pytest.mark.live
@pytest.mark.parametrize("name", TEXTS)
def test_httpd_itself(name: str, tmp_path: Path) -> None:
    text, line = TEXTS[name]
    path, above = _write(tmp_path, text)
    if APACHE is None:
        unavailable("no httpd on this machine")
    done = subprocess.run([APACHE, "-t", "-f", str(path)], capture_output=True, text=True, check=False)
    if line is None:
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode != 0
    told = re.search(r"on line (\d+)|line (\d+)", done.stderr)
    assert told is not None, done.stderr
    assert int(told[1] or told[2]) - above == line, done.stderr


def test_words() -> None:
    assert words_of('set X "a \\"b\\" c" env=foo') == ("set", "X", 'a "b" c', "env=foo")
    assert words_of("'a b' c\\\\d \"e\\f\"") == ("a b", "c\\d", "e\\f")
    assert words_of('"never closed') == ("never closed",)


def test_places_know_their_text() -> None:
    source = source_of(b'# x\n<Location "/a">\n  RequestHeader set X \\\n    y\n</Location>\n', "httpd.conf")
    section = parse(source)[0]
    assert section.children is not None
    line = section.children[0]
    assert (line.place.line, line.place.column, line.place.end) == (3, 3, (4, 6))
    assert section.place.text == '<Location "/a">'


def test_a_file_that_includes_itself(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("Include b.conf\n")
    (tmp_path / "b.conf").write_text("Include a.conf\n")
    (tmp_path / "httpd.conf").write_text(f"ServerRoot {tmp_path}\nListen 80\nInclude a.conf\n")
    _, errors, _ = load_sites([str(tmp_path / "httpd.conf")], Options())
    assert [(Path(error.file).name, error.line) for error in errors] == [("b.conf", 1)]
    assert "includes itself" in errors[0].message


def test_sections_without_end() -> None:
    with pytest.raises(InputError, match="inside of each other"):
        parse(source_of(b"<Directory />\n" * 200, "httpd.conf"))


def test_a_folder_is_one_configuration(tmp_path: Path) -> None:
    """Parts and .htaccess files are read where they belong, not once more by themselves."""
    files = {
        "httpd.conf": "ServerRoot /etc/httpd\nListen 80\nLoadModule dir_module m\nIncludeOptional conf.d/*.conf\n",
        "conf.d/site.conf": "<VirtualHost *:80>\nDocumentRoot /srv/site\n</VirtualHost>\n",
        "pages/site/.htaccess": "Require all granted\n",
        "pages/site/deep/.htaccess": "Require all granted\n",
        "pages/site/index.html": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    sites, errors, _ = load_sites([str(tmp_path)], Options())
    assert not errors
    assert [site.files[0].name for site in sites] == [str(tmp_path / "httpd.conf")]


def test_what_stands_beside_require_lines_in_a_container_counts(tmp_path: Path) -> None:
    """As the package of Nagios has it (add_authz_section)."""
    text = (
        "Listen 80\n<Location /a>\n<RequireAll>\nAuthType Basic\nAuthName R\nAuthUserFile /none\n"
        "Require valid-user\n</RequireAll>\n</Location>\nProxyPass / http://127.0.0.1:9/\n"
    )
    (tmp_path / "httpd.conf").write_text(text)
    (site,), _, _ = load_sites([str(tmp_path / "httpd.conf")], Options())
    (outcome,) = site.trace(make_request("http://localhost/a"))
    assert (outcome.status, outcome.gates[0].realm) == (401, "R")
