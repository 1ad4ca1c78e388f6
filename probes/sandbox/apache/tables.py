"""What becomes of httpd's directives in the sandbox, as data. What is not named here stays as it is."""

from __future__ import annotations

import re

# Where the server keeps its own things, how many processes it has, what it writes to logs: the sandbox has its own.
_HOUSEKEEPING = """
acceptfilter acceptmutex asyncrequestworkerfactor bufferedlogs cacheenablefile cachefile cachelock cachelockmaxage
cachelockpath cgidscripttimeout chrootdir coredumpdirectory customlog davgenericlockdb davlockdb dbdparams
defaultruntimedir enableexceptionhook errorlog extendedstatus forensiclog globallog gracefulshutdowntimeout group
hostnamelookups identitycheck identitychecktimeout ldapsharedcachefile listen listenbacklog
listencoresbucketsratio listentcpdeferaccept lockfile loglevel maxclients maxconnectionsperchild maxmemfree
maxrequestsperchild maxrequestsperthread maxrequestworkers maxspareservers maxsparethreads mimemagicfile
minspareservers minsparethreads mmapfile mutex namevirtualhost pidfile receivebuffersize requestreadtimeout
rewritelog rewriteloglevel scoreboardfile scriptlog scriptlogbuffer scriptloglength scriptsock sendbuffersize
serverlimit serverroot startservers startthreads suexec suexecusergroup threadlimit threadsperchild
threadstacksize transferlog typesconfig user watchdoginterval authdigestshmemsize balancerpersist
proxyhcexpr proxyhctemplate proxyhctpsize wsgidaemonprocess wsgiprocessgroup wsgisocketprefix wsgirestrictprocess
"""
HOUSEKEEPING = frozenset(_HOUSEKEEPING.split())
# What TLS needs beside a certificate; none of it decides about headers.
TLS = re.compile(
    r"ssl(?:proxy(?:ca|machine|checkpeer|verify)\w*|(?:ca)?certificatechainfile|ca(?:certificate|dn|revocation)\w*"
    r"|usestapling|stapling\w*|ocsp\w*|sessioncache\w*|sessionticket\w*|passphrasedialog|randomseed|cryptodevice"
    r"|opensslconfcmd|srp\w*|fips|vhostsnipolicy)$"
)
CERTIFICATES = ("sslcertificatefile", "sslcertificatekeyfile")

CODE = _CODE = "the user's own programs are not run"
_REACHES = "it speaks to other machines"
_WRITES = "it writes files"
# Taken out, with the reason that the report gives.
TAKEN = {
    **dict.fromkeys(("extfilterdefine", "extfilteroptions", "loadfile"), _CODE),
    **dict.fromkeys(("wsgiimportscript", "wsgiaccessscript", "wsgiauthuserscript", "wsgiauthgroupscript"), _CODE),
    **dict.fromkeys(("wsgidispatchscript", "wsgihandlerscript", "wsgipythonhome", "wsgipythonpath"), _CODE),
    **dict.fromkeys(
        ("wsgipythoneggs", "php_value", "php_flag", "php_admin_value", "php_admin_flag", "phpinidir"), _CODE
    ),
    **dict.fromkeys(("proxyremote", "proxyremotematch", "noproxy", "proxyblock", "proxydomain"), _REACHES),
    **dict.fromkeys(("heartbeataddress", "heartbeatlisten", "authldapurl", "dbdriver", "mdomain"), _REACHES),
    **dict.fromkeys(("memcacheconnttl", "redisconnpoolttl", "redistimeout", "authnzfcgidefineprovider"), _REACHES),
    **dict.fromkeys(("proxyexpressenable", "proxyexpressdbmfile", "userdir"), "it leads out of the mirrored folders"),
    "proxysourceaddress": "the address of this machine is another one",
    "remoteipproxyprotocol": "the probe speaks plain HTTP",
    "dav": "nothing may be written or deleted",
    "imapbase": _WRITES,
}
# Modules of httpd's own that are not loaded: they reach out, run programs, or guard what a sandbox does not have.
BARRED = {
    **dict.fromkeys(
        ("md", "heartbeat", "heartmonitor", "lbmethod_heartbeat", "ident", "ldap", "authnz_ldap"), _REACHES
    ),
    **dict.fromkeys(("dbd", "authn_dbd", "authz_dbd", "session_dbd", "authnz_fcgi", "socache_memcache"), _REACHES),
    **dict.fromkeys(("socache_redis", "proxy_hcheck", "proxy_express", "proxy_ftp", "proxy_fdpass"), _REACHES),
    **dict.fromkeys(("lua", "suexec", "ext_filter"), _CODE),
    **dict.fromkeys(("dav", "dav_fs", "dav_lock", "log_forensic", "dumpio", "file_cache"), _WRITES),
    **dict.fromkeys(("userdir", "reqtimeout", "dialup", "echo", "privileges"), "it has no place in a sandbox"),
}
# Modules of other projects that run programs of ours only.
FOREIGN = frozenset(("wsgi", "php"))
UNKNOWN = "a module that is not known here might reach out"
MISSING = "this machine's httpd does not have it"

# Which argument (from 0) is a path of the deployed machine; -1 is the last one.
PATHS = {
    "documentroot": 0,
    **dict.fromkeys(("alias", "aliasmatch", "scriptalias", "scriptaliasmatch"), -1),
    **dict.fromkeys(("authuserfile", "authgroupfile", "authdbmuserfile", "authdbmgroupfile"), 0),
    **dict.fromkeys(("virtualdocumentroot", "virtualdocumentrootip", "virtualscriptalias", "virtualscriptaliasip"), 0),
    **dict.fromkeys(("wsgiscriptalias", "wsgiscriptaliasmatch"), 1),
    **dict.fromkeys(("remoteipinternalproxylist", "remoteiptrustedproxylist", "<iffile"), 0),
}
# Words that name a program to be run, or what every program is started with (LD_PRELOAD).
RUNS = re.compile(r"(?:\[|.*,E=|E=)?(?:E=)?!?LD_[A-Z]|exec:", re.IGNORECASE)
PROVIDERS = frozenset(("file", "anon", "dbm", "socache"))
# Arguments with a secret inside, or of the machine: expressions that look at files.
FILE_TEST = re.compile(r"""(-[dfshLeFUx]\s+['"]?|\bfile(?:size)?\(\s*['"]?)(?=/)""")
DEPLOYED = re.compile(r"%\{(?:REQUEST_FILENAME|SCRIPT_FILENAME|DOCUMENT_ROOT|CONTEXT_DOCUMENT_ROOT)\}", re.IGNORECASE)
GATEWAYS = {"fcgi": "fastcgi", "scgi": "scgi", "uwsgi": "uwsgi"}
