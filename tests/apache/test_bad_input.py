"""Texts that are no configuration, or a broken one: told with a line, never a crash, never silence."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from auditor.check import Options, check
from auditor.cli.main import main
from auditor.servers.apache.directives import known_names
from tests.apache import lab

CONFIGS = sorted((Path(__file__).parent.parent.parent / "configs/apache").rglob("*.conf"))
CONFIGS += sorted((Path(__file__).parent.parent.parent / "configs/apache").rglob(".htaccess"))
PIECES = [name.encode() for name in known_names()]
PIECES += [b'"', b"'", b"\\\n", b"\n", b"${", b"%{", b'<If "', b"</If>", b"[R=", b"expr=", b"\xff", b"\xef\xbb\xbf"]
PIECES += [b"99999999999999999999", b"-1", b"(", b"*", b"(?", b"$1", b"\x01", b"~", b"!", b"<RequireAll>", b"{{ x }}"]


def broken(seed: int) -> bytes:
    """A text made of bytes, of words, or of a configuration in which pieces were changed."""
    chance = random.Random(seed)
    if seed % 5 == 0:
        return bytes(chance.randrange(1, 256) for _ in range(chance.randrange(300)))
    if seed % 5 == 1:
        rows = range(chance.randrange(1, 20))
        return b"\n".join(b" ".join(chance.choices(PIECES, k=chance.randrange(1, 5))) for _ in rows)
    data = chance.choice(CONFIGS).read_bytes()
    for _ in range(chance.randrange(1, 10)):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(3)
        if kind == 0:
            data = data[:at] + chance.choice(PIECES) + data[at:]
        elif kind == 1:
            data = data[:at] + data[at + chance.randrange(1, 30) :]
        else:
            lines = data.split(b"\n")
            lines.insert(chance.randrange(len(lines)), chance.choice(lines))
            data = b"\n".join(lines)
    return data


@pytest.mark.parametrize("seed", range(60))
def test_nothing_breaks_it(seed: int, tmp_path: Path) -> None:
    path = tmp_path / random.Random(seed).choice(["httpd.conf", ".htaccess", "site.conf"])
    path.write_bytes(broken(seed))
    report = check([str(path)], Options(kind="apache"))
    for error in report.errors:
        assert 0 <= error.line <= path.read_bytes().count(b"\n") + 1


@pytest.mark.parametrize("seed", range(0, 100, 5))
def test_bytes_that_are_no_configuration_are_not_in_order(seed: int, tmp_path: Path) -> None:
    """What is not understood is an error of input or stands in the notes."""
    path = tmp_path / "httpd.conf"
    data = broken(seed)
    path.write_bytes(data)
    if not any(row.strip() and not row.strip().startswith(b"#") for row in data.split(b"\n")):
        return
    report = check([str(path)], Options(kind="apache"))
    assert report.errors or any(note.kind == "unanalysed" for note in report.notes), data


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (b"ServerName a\n\xff\xfeS\0e\0\n", 2, "NUL"),
        (b"\n<Directory />\n", 2, "was not closed"),
        (b"Listen 80\n</Directory>\n", 2, "without matching"),
        (b'Listen 80\n"" x\n', 2, "empty name"),
        (b"<Directory />\n" * 120, 101, "inside of each other"),
        (b'Listen 80\n<If "true#">\n</If>\n', 2, "expression"),
        (b"Listen 80\nServerName\n", 2, "ServerName takes 1 argument"),
        (b"Listen 80\n<Location />\nServerName x\n</Location>\n", 3, "not allowed"),
        (b"LoadModule authz_core_module x\nLoadModule mpm_event_module x\nProxyPass / http://a/\n", 3, "mod_proxy"),
    ],
)
def test_told_with_its_line(
    text: bytes, line: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "httpd.conf"
    path.write_bytes(text)
    assert main(["--kind", "apache", str(path)]) == 3
    err = capsys.readouterr().err
    assert f"httpd.conf:{line}: " in err
    assert says in err


def test_folder_loop_and_device_as_includes(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/in.conf").write_text("ServerTokens Prod\n")
    (tmp_path / "dir/round").symlink_to("../dir")
    text = (
        f"ServerRoot {tmp_path}\nListen 80\nIncludeOptional loop\nInclude dir\nInclude /dev/zero\nInclude /dev/stdin\n"
    )
    (tmp_path / "httpd.conf").write_text(text)
    report = check([str(tmp_path / "httpd.conf")], Options())
    # httpd stops at the folder in itself: "Too many levels of symbolic links".
    assert {error.message.rpartition("/")[2] for error in report.errors} <= {
        "round is not there",
        "is not a regular file",
    }
    assert any(name.endswith("in.conf") for name in report.files)


def test_folders_in_themselves_twice(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    for name in ("a", "b"):
        (tmp_path / "dir" / name).symlink_to("../dir")
    (tmp_path / "httpd.conf").write_text(f"ServerRoot {tmp_path}\nListen 80\nInclude dir\n")
    assert check([str(tmp_path / "httpd.conf")], Options()).errors


def test_marks_and_line_ends(tmp_path: Path) -> None:
    """httpd takes a byte order mark for a part of the first directive's name, even of a comment's (measured), and a
    carriage return for a blank."""
    (tmp_path / "httpd.conf").write_bytes(b"\xef\xbb\xbfListen 80\r\nServerName a\r\n")
    report = check([str(tmp_path / "httpd.conf")], Options())
    assert [(error.line, "byte order mark" in error.message) for error in report.errors] == [(1, True)]


@pytest.mark.parametrize("name", ["vhost.conf.j2", "vhost.conf.erb", ".htaccess.j2", "httpd.conf"])
def test_templates(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "<VirtualHost *:{{ port }}>\nServerName {{ name }}\n{% if tls %}\nSSLEngine on\n{% endif %}\n</VirtualHost>\n"
    )
    if name.endswith("erb"):
        text = "<VirtualHost *:<%= @port %>>\nServerName <%= @name %>\n<% if @tls %>\nSSLEngine on\n<% end %>\n"
        text += "</VirtualHost>\n"
    if name == "httpd.conf":
        text = "ServerRoot /etc/httpd\nListen ${PORT}\nServerName ${NAME}\nProxyPass / http://${HOST}:${PORT}/\n"
    if name.startswith(".ht"):
        text = "{% for x in y %}\nRedirect 301 /{{ x }} /{{ y }}\n{% endfor %}\nRequire ip {{ ips | join(' ') }}\n"
    (tmp_path / name).write_text(text)
    assert main([str(tmp_path / name), "--show", "info", "--exit-zero"]) == 0
    if name != "httpd.conf":
        assert "template" in capsys.readouterr().out


def test_what_is_not_analysed_is_named_once(tmp_path: Path) -> None:
    text = 'Listen 80\nSecRuleEngine On\nSecRule ARGS x "id:1"\nSecRule ARGS y "id:2"\nPassengerRoot /x\nJkMount /a b\n'
    text += "<Perl>\n  my $x = <STDIN>;\n<STDIN>;\n  Include nothing\n</Perl>\nServerNmae x\nFcgidIPCDir /x\n"
    text += '<Proxy "balancer://b">\nBalancerMember http://127.0.0.1:1\n</Proxy>\n'
    text += "<AuthnProviderAlias file staff>\nAuthUserFile /srv/x\n</AuthnProviderAlias>\n"
    (tmp_path / "httpd.conf").write_text(text)
    report = check([str(tmp_path / "httpd.conf")], Options(kind="apache"))
    assert not report.errors
    said = [note.text for note in report.notes if note.kind == "unanalysed"]
    families = ["mod_security", "Passenger", "mod_jk", "mod_perl", "ServerNmae", "mod_fcgid"]
    assert [text.split()[0] for text in said] == families
    assert "slip for servername" in said[4]


@pytest.mark.live
@pytest.mark.parametrize("line", ["<Limit OPTION>", "<Limit get>", "<LimitExcept FOO>"])
def test_a_method_that_httpd_does_not_know(tmp_path: Path, line: str) -> None:
    """In a .htaccess it breaks the folder, and the gate of that line is told."""
    gate = f"{line}\nRequire all denied\n</{line[1:].split()[0]}>\n"
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / ".htaccess").write_text(gate)
    (tmp_path / "www" / "a.txt").write_text("a")
    allowed = "<Directory {0}/www>\nAllowOverride All\n</Directory>\n"
    main_file = tmp_path / "httpd.conf"
    main_file.write_text(f"Listen 80\nDocumentRoot {tmp_path}/www\n{allowed.format(tmp_path)}")
    found = check([str(main_file)], Options(kind="apache", roots=((str(tmp_path), str(tmp_path)),))).findings
    assert [(one.rule, one.place.line) for one in found if "answered 500" in one.message] == [("misplaced-gate", 1)]
    files = {"www/a.txt": "a", "www/.htaccess": gate}
    with lab.served(allowed.format("@DIR@"), files, ("mime",)) as server:
        assert lab.ask(server.port, ["GET /a.txt HTTP/1.1", "Host: a", "Connection: close"]).status == 500
