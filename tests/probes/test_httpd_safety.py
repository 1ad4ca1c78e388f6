"""Whatever a configuration of httpd says, its sandbox runs none of the user's programs, reaches out to nobody, touches
no file but its own, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from probes.runners import httpd
from tests import live
from tests.probes.commands import Done, Place, can, needs, needs_namespaces

MODULES = """
authz_core authn_core authn_file auth_basic authz_user authz_host access_compat alias actions dir mime cgi include
ext_filter env setenvif headers rewrite proxy proxy_http proxy_fcgi slotmem_shm proxy_balancer lbmethod_byrequests
ssl socache_shmcb cache cache_disk autoindex userdir negotiation session session_cookie status info vhost_alias
http2 dav dav_fs macro lua md heartbeat heartmonitor ldap authnz_ldap dbd authn_dbd proxy_hcheck proxy_connect
socache_memcache ident log_forensic dumpio remoteip
"""
LOAD = "".join(f"LoadModule {name}_module modules/mod_{name}.so\n" for name in MODULES.split())

LOGS = """
ErrorLog "|/usr/bin/touch OUT/piped-error"
CustomLog "|/usr/bin/touch OUT/piped-log" common
CustomLog "|$/bin/sh -c 'touch OUT/piped-shell'" common
CustomLog OUT/access.log common
TransferLog "|/usr/bin/touch OUT/piped-transfer"
GlobalLog OUT/global.log common
ForensicLog "|/usr/bin/touch OUT/forensic"
PidFile OUT/httpd.pid
ScoreBoardFile OUT/board
Mutex file:OUT default
CoreDumpDirectory OUT
DefaultRuntimeDir OUT
ScriptLog OUT/script.log
DavLockDB OUT/dav
CacheRoot OUT/cache
CacheEnable disk /
ErrorLog syslog:daemon
User root
Group root
SuexecUserGroup root root
DumpIOInput On
<VirtualHost *:80>
    ServerName a.example
    ErrorLog "|/usr/bin/touch OUT/piped-host"
    CustomLog "|/usr/bin/touch OUT/piped-host-log" common
    <Location /dav>
        Dav On
    </Location>
</VirtualHost>
"""

PROGRAMS = """
ServerName a.example
DocumentRoot OUT/www
RewriteEngine On
RewriteMap asked "prg:/usr/bin/touch OUT/map"
RewriteRule ^/mapped/(.*) /${asked:$1}
ExtFilterDefine through cmd="/usr/bin/touch OUT/filter"
SetOutputFilter through
SSLPassPhraseDialog exec:OUT/passphrase
SSLRandomSeed startup exec:OUT/seed 16
ScriptAlias /cgi-bin/ OUT/cgi/
RewriteRule ^/handled/ OUT/cgi/run.cgi [H=cgi-script]
Action made /cgi-bin/run.cgi virtual
<Location /made/>
    SetHandler made
</Location>
<Directory OUT/www>
    Options +ExecCGI +Includes
    AllowOverride All
    AddHandler cgi-script .cgi .sh
    AddType text/html .shtml
    AddOutputFilter INCLUDES .shtml
</Directory>
<Directory OUT/cgi>
    Options +ExecCGI
    SetHandler cgi-script
</Directory>
LuaHookFixups OUT/hook.lua run
<Perl>
system("touch OUT/perl");
</Perl>
MDMessageCmd OUT/message
UserDir public_html
"""

NAMES = """
HostnameLookups Double
Listen 192.0.2.80:80
Listen [2001:db8::1]:8080
ServerName site.example
UseCanonicalName DNS
ProxyPass /name/ http://a.example/
ProxyPass /address/ http://192.0.2.10:8080/
ProxyPass /fast/ fcgi://192.0.2.11:9000/
ProxyPass /socket/ unix:/run/app.sock|http://app/
ProxyPassMatch ^/matched/(.*)$ http://$1.example/
ProxyRemote * http://192.0.2.12:3128
NoProxy 192.0.2.0/24 .example
ProxyRequests On
ProxySourceAddress 192.0.2.99
<Proxy balancer://pool>
    BalancerMember http://b.example hcmethod=GET hcinterval=1
    BalancerMember http://192.0.2.13
</Proxy>
ProxyPass /pool/ balancer://pool/
RewriteEngine On
RewriteRule ^/rewritten/(.*) http://$1.example/ [P]
RewriteRule ^/asked/ http://%{HTTP_HOST}/ [P]
<Location /hosts/>
    Require host partner.example
</Location>
<Location /forward/>
    <RequireAll>
        Require forward-dns gate.example
        Require not host bad.example
    </RequireAll>
</Location>
<Location /old/>
    Order deny,allow
    Deny from all
    Allow from partner.example
</Location>
<Location /ldap/>
    AuthType Basic
    AuthName ldap
    AuthBasicProvider ldap
    AuthLDAPURL ldap://ldap.example/o=x
    Require valid-user
</Location>
HeartbeatListen 239.0.0.1:27999
HeartbeatAddress 239.0.0.1:27999
MDomain site.example
IdentityCheck On
DBDriver pgsql
RemoteIPProxyProtocol On
SSLUseStapling On
SSLStaplingCache shmcb:/run/x
SSLOCSPEnable on
<VirtualHost 192.0.2.80:80>
    ServerName one.example
    ProxyPass / http://192.0.2.14/
</VirtualHost>
<VirtualHost named.example:80>
    ServerName two.example
</VirtualHost>
"""

READS = """
ServerName a.example
DocumentRoot /
<Directory />
    Options +Indexes
    Require all granted
</Directory>
Alias /out/ OUT/
Alias /up/ ../../../../../../../../OUT/
Alias /etc /etc
RewriteEngine On
RewriteRule ^/rewritten/(.*) OUT/$1
RewriteRule ^/proc/ /proc/self/environ
RewriteMap read txt:OUT/secret.txt
Include OUT/missing*.conf
<Location /self/>
    AuthType Basic
    AuthName a
    AuthUserFile /proc/self/environ
    Require valid-user
</Location>
"""
CONFIGURATIONS = {"logs": LOGS, "programs": PROGRAMS, "names": NAMES, "reads": READS}
SMALL = "Listen 80\nServerName a.example\n" + "".join(f"ProxyPass /{n}/ http://app{n % 7}/\n" for n in range(40))
FOREVER = "import probes.sandbox.sandbox as sandbox; sandbox.PATIENCE = 600"
KEEP_BODIES = """
import probes.sandbox.sandbox as sandbox
send = sandbox.send
def kept(*args, **options):
    reply = send(*args, **options)
    with open({path!r}, "ab") as file:
        file.write(reply.body + b"\\n")
    return reply
sandbox.send = kept
"""


@pytest.fixture(scope="module", autouse=True)
def program() -> None:
    if httpd.find() is None:
        live.unavailable("no httpd found: install apache2")


class Sealed:
    """A hostile configuration, what lies outside of its sandbox, and what became of that."""

    def __init__(self, place: Place, text: str) -> None:
        self.place = place
        self.outside = place.elsewhere
        self.outside.chmod(0o777)
        for folder in ("www", "cgi"):
            (self.outside / folder).mkdir()
        run = f"#!/bin/sh\ntouch {self.outside}/ran\nprintf 'Content-Type: text/plain\\n\\nnever-to-be-shown'\n"
        for name in ("www/index.cgi", "www/a.sh", "cgi/run.cgi", "cgi/audit-probe", "passphrase", "seed", "message"):
            path = self.outside / name
            path.write_text(run)
            path.chmod(0o755)
        (self.outside / "www/index.shtml").write_text(f'<!--#exec cmd="touch {self.outside}/exec" -->')
        (self.outside / "www/.htaccess").write_text("Options +ExecCGI +Includes\nSetHandler cgi-script\n")
        (self.outside / "secret.txt").write_text("never-to-be-shown key\n")
        self.bodies = place.folder / "bodies"
        head = "ServerRoot /etc/httpd\nListen 80\n" + LOAD
        self.config = place.write("conf/httpd.conf", head + text.replace("OUT", str(self.outside)))
        self.before = self.state()

    def state(self) -> dict[str, tuple[int, int]]:
        found = {}
        for path in [self.outside, *self.outside.rglob("*")]:
            status = path.lstat()
            found[str(path)] = (status.st_mtime_ns, status.st_size)
        return found

    @property
    def patch(self) -> str:
        return KEEP_BODIES.format(path=str(self.bodies))

    def check(self, done: Done) -> None:
        assert self.state() == self.before
        assert "never-to-be" not in done.out + done.err
        if self.bodies.exists():
            assert b"never-to-be-shown" not in self.bodies.read_bytes()

    def probed(self, done: Done) -> None:
        """It ended with a report of requests that were answered."""
        assert done.status in (0, 1), done
        assert "Traceback" not in done.err, done
        assert "requests" in done.out.splitlines()[0], done
        self.check(done)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_nothing_of_the_users_runs_and_no_file_outside_changes(place: Place, name: str) -> None:
    sealed = Sealed(place, CONFIGURATIONS[name])
    sealed.probed(place.run(sealed.config, patch=sealed.patch))


@needs_namespaces
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_nothing_leaves_loopback(place: Place, name: str) -> None:
    sealed = Sealed(place, CONFIGURATIONS[name])
    script = str(Path(__file__).with_name("listening.py"))
    command = [place.command(sealed.config, patch=sealed.patch)]
    ran = subprocess.run(
        ["unshare", "--net", "--mount", sys.executable, script, json.dumps(command)],
        capture_output=True,
        text=True,
        check=False,
        env=place.environment(),
    )
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    done = Done(result["status"], result["out"], result["err"])
    assert result["left"] == [], done
    sealed.probed(done)
    place.assert_clean()


def test_what_is_left_out_is_listed(place: Place) -> None:
    sealed = Sealed(place, PROGRAMS)
    done = place.run(sealed.config)
    for name in ("RewriteMap", "ExtFilterDefine", "LuaHookFixups", "<Perl", "MDMessageCmd", "UserDir"):
        assert name in done.out.partition("not in the sandbox:")[2], (name, done)


@needs(can("ss", "-V"), "needs ss, of the package iproute2")
def test_all_listeners_are_on_loopback(place: Place) -> None:
    """Seen by the machine, while the server runs."""
    process = waiting(place)
    pids = [path.read_text().strip() for path in place.temporary.glob("audit-*/httpd.pid")]
    try:
        listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=False).stdout
    finally:
        process.send_signal(signal.SIGINT)
        place.end(process)
    ours = [line.split()[3] for line in listening.splitlines() if any(f"pid={pid}," in line for pid in pids)]
    assert ours and all(address.startswith("127.0.0.1:") for address in ours), listening


# --- however it ends


def asking(place: Place) -> subprocess.Popen[str]:
    """The server is up, and requests are on their way or about to be."""
    process = place.start(place.write("httpd.conf", SMALL), "--sandboxes", 2)
    place.wait_for("audit-*/httpd.pid")
    return process


def waiting(place: Place) -> subprocess.Popen[str]:
    """The server is up and does not answer."""
    process = place.start(place.write("httpd.conf", SMALL), patch=FOREVER)
    os.kill(int(place.wait_for("audit-*/httpd.pid").read_text()), signal.SIGSTOP)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", [asking, waiting])
def test_signals_end_everything(
    place: Place, moment: Callable[[Place], subprocess.Popen[str]], number: signal.Signals
) -> None:
    before = shared_memory()
    process = moment(place)
    process.send_signal(number)
    done = place.end(process)
    assert done.status == 130, done
    assert done.out == "" and "Traceback" not in done.err, done
    assert shared_memory() <= before


@pytest.mark.parametrize("moment", [asking, waiting])
def test_what_cannot_be_caught_ends_everything_too(
    place: Place, moment: Callable[[Place], subprocess.Popen[str]]
) -> None:
    process = moment(place)
    process.kill()
    assert place.end(process).status == -signal.SIGKILL


def shared_memory() -> set[str]:
    """What the system keeps of shared memory beyond the end of processes."""
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:] + Path("/proc/sysvipc/sem").read_text().splitlines()
    return {" ".join(line.split()[:2]) for line in lines}


# --- what the server refuses


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Listen 80\nServerName a.example\nProxyPas / http://a/\n", "httpd.conf:3: "),
        ("Listen 80\n<Location /a>\nAuthName\n</Location>\n", "httpd.conf:3: "),
        ("Listen 80\n<Location /a>\n", "httpd.conf:2: "),
    ],
)
def test_the_line_is_the_users(place: Place, text: str, message: str) -> None:
    config = place.write("httpd.conf", text)
    done = place.run(config)
    assert done.status == 3, done
    assert message in done.err and "/audit-" not in done.err, done


def test_no_httpd_where_the_user_says(place: Place) -> None:
    config = place.write("httpd.conf", SMALL)
    place.run(config, "--httpd", "/bin/true").assert_fails(4, "/bin/true is no httpd that runs here")


def test_an_option_for_another_server(place: Place) -> None:
    done = place.run(place.write("httpd.conf", SMALL), "--nginx", "system")
    assert done.status == 2 and "Apache httpd" in done.err, done


def test_the_secret_of_a_user_file_is_not_shown(place: Place) -> None:
    text = "Listen 80\nServerName a.example\nProxyPass / http://app/\n<Location />\nAuthType Basic\nAuthName a\n"
    text += "AuthUserFile /etc/apache2/users\nRequire valid-user\n</Location>\n"
    text += 'RequestHeader set Authorization "Basic bmV2ZXI6dG8tYmUtc2hvd24="\n'
    place.write("users", "alice:$apr1$neverto$beshown0123456789012\n")
    config = place.write("httpd.conf", text)
    for options in ((), ("--format", "json"), ("--show", "info")):
        done = place.run(config, *options)
        assert done.status in (0, 1), done
        assert "bmV2ZXI6" not in done.out + done.err and "neverto" not in done.out + done.err
