"""What sealing makes of single lines of httpd's configuration; and that what is not sealed is not started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from auditor.check import Options, load_sites
from probes.log import Answer, Log
from probes.runners.httpd import Httpd
from probes.runners.local import Binary
from probes.sandbox.apache.check import check_sealed
from probes.sandbox.apache.reading import Reading
from probes.sandbox.apache.seal import Plan, Sealer
from probes.sandbox.check import Unsafe
from probes.sandbox.sealed import Sealed
from probes.sandbox.targets import Names, Targets

FOLDER = "/sandbox"
HOST = "<VirtualHost *:80>\nServerName a.example\n%s\n</VirtualHost>"
# Of each module there is a file; none is loaded here.
NAMES = """
setenvif alias rewrite proxy proxy_http cgi auth_basic dir headers mpm_prefork lua authz_core authz_host access_compat
env
"""
PROGRAM = Httpd(
    Binary("httpd", "/usr/sbin/httpd", "2.4.71"),
    {name: f"/modules/mod_{name}.so" for name in NAMES.split()},
    frozenset(("core", "so", "http")),
)


class Sealing:
    """A sealed configuration, its texts and what was taken out."""

    def __init__(self, folder: Path, text: str) -> None:
        path = folder / "httpd.conf"
        path.write_text(text, encoding="latin-1")
        sites, errors, _ = load_sites([str(path)], Options(kind="apache"))
        assert not errors
        self.reading = Reading(sites[0], PROGRAM)  # type: ignore[arg-type]
        self.targets = Targets(Log(), Names(), lambda: "", lambda _: Answer(), "127.0.0.1", str(folder))
        ports = {("*", 80): 20080, ("*", 443): 20443, ("10.0.0.1", 80): 20081}
        self.plan = Plan(FOLDER, FOLDER, "127.0.0.1", "127.0.0.1", ports, frozenset((443,)), f"{FOLDER}/c.pem", ())
        try:
            self.sealed: Sealed = Sealer(self.reading, PROGRAM, self.plan, self.targets).seal()
        finally:
            self.targets.close()

    @property
    def text(self) -> str:
        return self.sealed.files[self.name]

    @property
    def name(self) -> str:
        """The name of the user's file in the sandbox."""
        return next(name for name, source in self.sealed.sources.items() if source.path is not None)

    def check(self, text: str) -> None:
        """Checks the sealed configuration with this text in the place of the user's."""
        check_sealed(self.sealed._replace(files={**self.sealed.files, self.name: text}), self.plan, PROGRAM)


LINES = {
    "Listen 80": "",
    "NameVirtualHost *:80": "",
    'ErrorLog "|/bin/sh -c x"': "",
    "CustomLog logs/access.log common": "",
    "User root": "",
    "DocumentRoot /srv/www": 'DocumentRoot "/sandbox/root/srv/www"',
    "DocumentRoot htdocs": "DocumentRoot htdocs",
    "Alias /x/ /srv/../../etc/": 'Alias "/x/" "/sandbox/root/etc/"',
    "AliasMatch ^/m/(.*) /srv/$1": 'AliasMatch "^/m/(.*)" "/sandbox/root/srv/$1"',
    "ScriptAlias /cgi/ /usr/lib/cgi-bin/": 'ScriptAlias "/cgi/" "/sandbox/root/usr/lib/cgi-bin/"',
    "<Directory />\n</Directory>": '<Directory "/sandbox/root/">\n</Directory>',
    "<DirectoryMatch ^/srv/(a|b)>\n</DirectoryMatch>": '<DirectoryMatch "^/sandbox/root/srv/(a|b)">\n</DirectoryMatch>',
    "<Files a>\n</Files>": "<Files a>\n</Files>",
    "LoadModule rewrite_module libexec/mod_rewrite.so": 'LoadModule "rewrite_module" "/modules/mod_rewrite.so"',
    "LoadModule cgid_module modules/mod_cgid.so": 'LoadModule "cgi_module" "/modules/mod_cgi.so"',
    "LoadModule lua_module modules/mod_lua.so": "",
    "LoadModule security2_module modules/mod_security2.so": "",
    "LoadFile /usr/lib/x.so": "",
    "SSLCertificateFile /etc/a.pem": 'SSLCertificateFile "/sandbox/c.pem"',
    "SSLPassPhraseDialog exec:/bin/x": "",
    "ProxyPass / http://app/ \\\n    timeout=5": "ProxyPass / http://app/ \\\n    timeout=5",
    "ProxyRemote * http://far/": "",
    "RewriteMap m prg:/bin/x": 'RewriteMap "m" "txt:/sandbox/empty.txt"',
    "RewriteMap m int:tolower": "RewriteMap m int:tolower",
    "RewriteRule ^/x /srv/x [L]": 'RewriteRule "^/x" "/sandbox/root/srv/x" "[L]"',
    "RewriteRule ^/x /index.php [L]": "RewriteRule ^/x /index.php [L]",
    "RewriteCond /srv/x/%{REQUEST_URI} -f": 'RewriteCond "/sandbox/root/srv/x/%{REQUEST_URI}" "-f"',
    "RewriteCond %{REQUEST_FILENAME} !^/srv/": 'RewriteCond "%{REQUEST_FILENAME}" "!^/sandbox/root/srv/"',
    "SetEnv LD_PRELOAD /srv/x.so": "",
    "SetEnvIf Host . LD_PRELOAD=/srv/x.so": "",
    "RewriteRule ^ - [L,E=LD_PRELOAD:/srv/x.so]": "",
    "RewriteRule ^ - [E=LD_PRELOAD:/srv/x.so]": "",
    "SetEnv ENV live": "SetEnv ENV live",
    "SetEnv FROM here": "SetEnv FROM here",
    "<Perl>\nanything\n</Perl>": "\n\n",
    "EvasiveCommand x": "",
    "<VirtualHost 10.0.0.1:80>\n</VirtualHost>": '<VirtualHost "127.0.0.1:20081">\n</VirtualHost>',
    "<VirtualHost *:80>\n</VirtualHost>": '<VirtualHost "*:20080" "*:20081">\n</VirtualHost>',
    HOST % "": '<VirtualHost "*:20080" "*:20081">\nServerName "a.example:80"\n\n</VirtualHost>',
    "<Location /x>\nRequire not host a.example\n</Location>": (
        '<Location /x>\nRequire "not" "ip" "192.0.2.255"\n</Location>'
    ),
    "<Location /x>\nAllow from a.example 10.1 env=x\n</Location>": (
        '<Location /x>\nAllow "from" "192.0.2.255" "10.1" "env=x"\n</Location>'
    ),
    "<If \"-f '/srv/x'\">\n</If>": "<If \"-f '/sandbox/root/srv/x'\">\n</If>",
}


@pytest.mark.parametrize("text", LINES)
def test_a_line(text: str, tmp_path: Path) -> None:
    sealing = Sealing(tmp_path, text + "\n")
    assert sealing.text == LINES[text] + "\n"
    assert sealing.text.count("\n") == text.count("\n") + 1
    sealing.check(sealing.text)


UNSAFE = (
    "Listen 127.0.0.1:80",
    "ErrorLog /sandbox/x",
    'CustomLog "|/bin/x" common',
    "DocumentRoot /srv",
    "DocumentRoot /sandbox/root/../..",
    "DocumentRoot ../..",
    "<Directory /srv>\n</Directory>",
    "Include /etc/httpd/x.conf",
    "LoadModule x_module /tmp/x.so",
    "LoadModule lua_module /modules/mod_lua.so",
    "RewriteMap m prg:/bin/x",
    "ExtFilterDefine x cmd=/bin/x",
    "ProxyRemote * http://192.0.2.1:80",
    "ProxyPass / unix:/run/x.sock|http://x/",
    "<VirtualHost 192.0.2.1:80>\n</VirtualHost>",
    "<Location />\nRequire host x.example\n</Location>",
    "SSLCertificateFile /etc/x.pem",
    "SSLRandomSeed startup exec:/bin/x",
    "Unheard on",
    "SetEnv LD_PRELOAD /srv/x.so",
    "SessionCryptoPassphrase exec:/bin/x",
)


@pytest.mark.parametrize("line", UNSAFE)
def test_what_is_not_sealed_is_not_started(line: str, tmp_path: Path) -> None:
    sealing = Sealing(tmp_path, "ServerName a.example\n")
    sealing.check("ServerName a.example\n")
    with pytest.raises(Unsafe):
        sealing.check(line + "\n")


def test_a_misspelt_directive_is_left_to_the_server(tmp_path: Path) -> None:
    sealing = Sealing(tmp_path, "ProxyPas / http://a/\n")
    assert sealing.text == "ProxyPas / http://a/\n"
    assert sealing.sealed.taken == ()


def reasons(sealed: Sealed) -> dict[str, str]:
    return {taken.place.name: taken.why for taken in sealed.taken}


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    lines = "LoadModule lua_module x.so\nExtFilterDefine x cmd=/bin/x\nUnheard on\nProxyRemote * http://x/\n"
    found: dict[str, Any] = reasons(Sealing(tmp_path, lines).sealed)
    assert set(found) == {"LoadModule", "ExtFilterDefine", "Unheard", "ProxyRemote"}
    assert found["ExtFilterDefine"] == "the user's own programs are not run"
