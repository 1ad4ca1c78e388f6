"""What apachectl prints: a dump is read as the configuration it is of, a listing is an error of input."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from auditor.check import Options, check, load_sites
from auditor.http import make_request
from auditor.servers.apache.dump import is_dump, split
from auditor.source import InputError, SourceFile
from tests.live import unavailable

APACHE = shutil.which("apache2") or shutil.which("httpd")
MODULES = Path("/usr/lib/apache2/modules")

# Printed by 2.4.71 of a main file with one included and a macro.
DUMP = """\
# In file: /etc/httpd/conf/httpd.conf
#  15:
Listen 127.0.0.1:8080
#  16:
ServerName a.example
# In file: macro 'm' (defined on line 22 of "/etc/httpd/a.conf") used on line 27 of "/etc/httpd/conf/httpd.conf"
#   1:
<Location "/hello">
  #   2:
  Header set Y hello
</Location>
# In file: /etc/httpd/conf.d/site.conf
#  33:
<VirtualHost *:8080>
  #  34:
  ServerName x.example
  #  36:
  <Location "/staff">
    #  37:
    AuthType Basic
    #  38:
    AuthName Staff
    #  39:
    AuthUserFile /srv/staff
    #  40:
    <Limit GET POST>
      #  41:
      Require valid-user
    </Limit>
  </Location>
</VirtualHost>
"""


def test_places_are_those_of_the_deployed_machine() -> None:
    names = [part.name for part in split(SourceFile("-", DUMP))]
    assert [names[0], names[2]] == ["/etc/httpd/conf/httpd.conf", "/etc/httpd/conf.d/site.conf"]
    site_file = split(SourceFile("-", DUMP))[2]
    assert site_file.line_text(41) == "Require valid-user"


def test_audited(tmp_path: Path) -> None:
    path = tmp_path / "dump.txt"
    path.write_text("Syntax OK\n" + DUMP)
    (site,), errors, _ = load_sites([str(path)], Options())
    assert (errors, list(site.errors)) == ([], [])
    outcomes = site.trace(make_request("http://x.example:8080/staff"))
    assert {one.status for one in outcomes} == {401}
    places = {because.place for one in outcomes for gate in one.gates for because in gate.because}
    assert ("/etc/httpd/conf.d/site.conf", 41) in {(place.file, place.line) for place in places if place is not None}


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("VirtualHost configuration:\n*:80   x.example (/etc/apache2/x.conf:1)\n", "apachectl -S"),
        ("Loaded Modules:\n core_module (static)\n so_module (static)\n", "apachectl -M"),
        ('ServerRoot: "/etc/apache2"\nMain DocumentRoot: "/var/www/html"\n', "apachectl -D DUMP_RUN_CFG"),
    ],
)
def test_listings_are_errors_of_input(tmp_path: Path, text: str, command: str) -> None:
    path = tmp_path / "out.txt"
    path.write_text(text)
    report = check([str(path)], Options())
    assert [error.line for error in report.errors] == [1]
    assert command in report.errors[0].message


def test_lines_that_no_file_has() -> None:
    with pytest.raises(InputError, match="no configuration is so long"):
        split(SourceFile("-", "# In file: /a\n# 99999999999:\nListen 80\n"))


@pytest.mark.live
def test_a_dump_of_the_server(tmp_path: Path) -> None:
    """The same request is predicted alike from the files and from what the real httpd says that it has read."""
    if APACHE is None:
        unavailable("no httpd on this machine")
    loaded = ("mpm_event", "authz_core", "authn_core", "headers", "macro", "info", "alias")
    text = f"ServerRoot {tmp_path}\nPidFile {tmp_path}/pid\nErrorLog {tmp_path}/log\nListen 127.0.0.1:1\n"
    text += "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in loaded)
    text += (
        "Define who a.example\nServerName ${who}\n<Macro place $p>\n<Location $p>\nRequire all denied\n</Location>\n"
    )
    text += "</Macro>\nUse place /shut\nInclude more.conf\n"
    (tmp_path / "httpd.conf").write_text(text)
    (tmp_path / "more.conf").write_text(
        '<IfModule alias_module>\nRedirect 410 /gone\n</IfModule>\nHeader set "X Y" b\n'
    )
    (tmp_path / "more.conf").write_text("<IfModule alias_module>\nRedirect 410 /gone\n</IfModule>\n")
    command = [str(APACHE), "-t", "-D", "DUMP_CONFIG", "-f", str(tmp_path / "httpd.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert is_dump(done.stdout), done.stdout
    (tmp_path / "dump.txt").write_text(done.stdout)
    (ours,), _, _ = load_sites([str(tmp_path / "httpd.conf")], Options())
    (theirs,), errors, _ = load_sites([str(tmp_path / "dump.txt")], Options())
    assert not errors
    assert not theirs.errors
    for path in ("/shut", "/gone"):
        request = make_request(f"http://127.0.0.1:1{path}")
        assert {one.status for one in ours.trace(request)} == {one.status for one in theirs.trace(request)}, path
    place = theirs.trace(make_request("http://127.0.0.1:1/gone"))[0].steps[-1].place
    assert place is not None
    assert (Path(place.file).name, place.line) == ("more.conf", 2)
