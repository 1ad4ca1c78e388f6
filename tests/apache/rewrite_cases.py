"""Rules and requests that the real httpd and the predictor are compared on.

`{doc}` is the case's DocumentRoot, `{root}` the server's folder, `{port}` and `{backend}` ports. Each case is a virtual
host `<name>.example`; `directory` stands in the <Directory> of its DocumentRoot, `htaccess` in files of its folders.
"""

from __future__ import annotations

from typing import NamedTuple

# What lies below each DocumentRoot.
FILES = ("e.cgi", "x.txt", "index.html", "sub/e.cgi", "sub/x.txt", "sub/deep/x.txt", "other/x.txt", "a b.txt", "q?m.txt")
MAPS = {
    "map.txt": "# comment\nkey value\nup UP other\n indented no\nq a?b\nslash /sub/x.txt\n",
    "rnd.txt": "one only\n",
}


class Ask(NamedTuple):
    """A request: `target` as sent, further headers."""

    target: str
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "GET"

    @property
    def label(self) -> str:
        return " ".join([self.method, self.target, *(f"{name}: {value}" for name, value in self.headers)])


class Case(NamedTuple):
    """Rules, and the requests that are sent to them."""

    name: str
    requests: tuple[Ask, ...]
    server: str = ""
    directory: str = ""
    htaccess: dict[str, str] = {}  # noqa: RUF012 - never changed
    main: str = ""


def asks(*targets: str | tuple[str, dict[str, str]]) -> tuple[Ask, ...]:
    return tuple(Ask(one) if isinstance(one, str) else Ask(one[0], tuple(one[1].items())) for one in targets)


def server(name: str, rules: str, *targets: str | tuple[str, dict[str, str]]) -> Case:
    return Case(name, asks(*targets), server="RewriteEngine On\n" + rules)


def directory(name: str, rules: str, *targets: str | tuple[str, dict[str, str]]) -> Case:
    return Case(name, asks(*targets), directory="RewriteEngine On\n" + rules)


def htaccess(name: str, rules: str, *targets: str | tuple[str, dict[str, str]]) -> Case:
    return Case(name, asks(*targets), htaccess={"": "RewriteEngine On\n" + rules})


Q = "/a?x=1"

CASES: tuple[Case, ...] = (
    # --- substitutions, server context
    server("s-plain", "RewriteRule ^/a$ /e.cgi", Q, "/a", "/b", "/%61?%41"),
    server("s-doc", "RewriteRule ^/a$ {doc}/e.cgi\nRewriteRule ^/b$ /etc/hostname-not\nRewriteRule ^/c /usr/x", Q, "/b", "/c"),
    server("s-var-doc", "RewriteRule ^/a$ %{DOCUMENT_ROOT}/e.cgi\nRewriteRule ^/(u.*) /$1", Q, "/usr/bin/env"),
    server("s-prefix", "RewriteRule ^/z(.*) $1 [UnsafePrefixStat]\nRewriteRule ^/y(.*) $1", "/z/usr/x", "/y/usr/x", "/z/e.cgi"),
    server("s-relative", "RewriteRule ^/a$ e.cgi", Q),
    server("s-pathinfo", "RewriteRule ^/a(/.*)$ /e.cgi$1", "/a/b/c?x=1", "/a/b%20c"),
    server("s-query", "RewriteRule ^/a$ /e.cgi?y=2\nRewriteRule ^/b /e.cgi?y=2 [QSA]\nRewriteRule ^/c /e.cgi?\n"
           "RewriteRule ^/d /e.cgi [QSD]\nRewriteRule ^/f /e.cgi?a?b [QSL]\nRewriteRule ^/g /e.cgi?y=2& [QSA]\n"
           "RewriteRule ^/h /e.cgi?a=1 [QSD]\nRewriteRule ^/i /e.cgi? [QSA]", Q, "/b?x=1", "/b", "/c?x=1", "/d?x=1", "/f?x=1",
           "/g?x=1", "/h?x=1", "/i?x=1", "/i"),
    server("s-three-f", "RewriteRule ^/r/(.*) /e.cgi?u=$1 [L]\nRewriteRule ^/s/(.*) /$1 [L]\nRewriteRule ^/t/(.*) /$1?x=1 [L]\n"
           "RewriteRule ^/u/(.*) /$1 [UnsafeAllow3F,L]\nRewriteRule ^/v/(.*) /$1 [B,L]\nRewriteRule ^/w/(.*) http://x.example/$1 [R,L]\n"
           "RewriteRule ^/n/(.*) - [E=E_A:$1]", "/r/a%3fb", "/s/e.cgi%3fb", "/t/e.cgi%3Fb", "/u/e.cgi%3fb", "/v/e.cgi%3fb",
           "/w/a%3fb", "/n/a%3fb", "/s/e.cgi?b=%3f", "/s/e.cgi?u=/x%3F"),
    server("s-chain", "RewriteRule ^/a /b [C]\nRewriteRule ^/b /e.cgi\nRewriteRule ^/no /e.cgi [C]\nRewriteRule . /x.txt [C]\n"
           "RewriteRule . /x.txt\nRewriteRule ^/k /sub/e.cgi", "/a", "/k"),
    server("s-skip", "RewriteRule ^/a - [S=2]\nRewriteRule ^/ /x.txt\nRewriteRule ^/ /y.txt\nRewriteRule ^/ /e.cgi", "/a", "/b"),
    server("s-next", "RewriteRule ^(.*)_(.*)$ $1-$2 [N]\nRewriteRule ^/a-b-c$ /e.cgi\nRewriteRule ^/loop /loop [N=5]", "/a_b_c", "/loop"),
    server("s-last", "RewriteRule ^/a /x.txt [L]\nRewriteRule ^ /e.cgi\nRewriteRule ^/b /x.txt [END]", "/a", "/b"),
    server("s-not", "RewriteRule !^/a /e.cgi?n=$0", "/a", "/b"),
    server("s-nocase", "RewriteRule ^/ABC /e.cgi [NC]\nRewriteRule ^/D\\ E /e.cgi", "/abc", "/d%20e", "/D%20E"),
    server("s-quoted", 'RewriteRule "^/a b$" "/e.cgi?x=a b" [L]\nRewriteRule ^/c\\ d$ /e.cgi?x=\\ y\nRewriteRule "^/e" "/a b.txt"',
           "/a%20b", "/c%20d", "/e"),
    server("s-escapes", r"RewriteRule ^/a(.*) /e.cgi?a=\$1&b=\%1&c=$&d=%&e=%{x&f=$9&h=%{NO}&i=\\z", "/az"),
    server("s-b", "RewriteRule ^/a/(.*) /e.cgi?a=$1 [B]\nRewriteRule ^/b/(.*) /e.cgi?a=$1 [B,BNP]\n"
           'RewriteRule ^/c/(.*) /e.cgi?a=$1 "[B= +&]"\nRewriteRule ^/d/(.*) /e.cgi?a=$1 [BCTLS]\n'
           "RewriteRule ^/e/(.*) /e.cgi?a=$1 [B,BNE=/:]\nRewriteRule ^/f/(.*) /e.cgi?a=$1", "/a/x%20y&z/1+%c3%a9-_.~",
           "/b/x%20y", "/c/x%20+y&z/w", "/d/x%20y%01&z", "/e/a/b:c d".replace(" ", "%20"), "/f/x%20y", "/f/x%0ay"),
    server("s-status", "RewriteRule ^/f - [F]\nRewriteRule ^/g /x.txt [G]\nRewriteRule ^/n - [R=404]\nRewriteRule ^/o /x.txt [R=200]\n"
           "RewriteRule ^/p - [R=204]\nRewriteRule ^/q - [R]\nRewriteRule ^/s /x.txt [F,E=E_A:1]\nRewriteRule ^/t - [R=405]",
           "/f", "/g", "/n", "/p", "/q", "/s", "/t"),
    server("s-redirect", "RewriteRule ^/a /b [R]\nRewriteRule ^/c http://x.example/y\nRewriteRule ^/d https://x.example [R=301]\n"
           "RewriteRule ^/e/(.*) /$1 [R=permanent,L]\nRewriteRule ^/f/(.*) /$1 [R=308,NE,L]\nRewriteRule ^/g rel [R=303]\n"
           "RewriteRule ^/h http://x.example/?q=$0 [R]\nRewriteRule ^/i http://s-redirect.example:{port}/e.cgi\n"
           "RewriteRule ^/j http://S-Redirect.example:{port}\nRewriteRule ^/k mailto:a@b.example\nRewriteRule ^/l ftp://x.example/?y\n"
           "RewriteRule ^/m http://s-redirect.example/e.cgi", Q, "/c?x=1", "/d", "/e/a%20b%25c?x=%20", "/f/a%20b?x=1", "/g",
           "/h?x=1", "/i?x=1", "/j", "/k?x=1", "/l?x=1", "/m", "/e//evil.example/%2e%2e", "/e/%c3%a9;a=b,c", "/f/%0d%0aX:y"),
    server("s-redirect-args", "RewriteRule ^/a /b?y=$0 [R,QSA]\nRewriteRule ^/c/(.*) /b?y=$1 [R]\nRewriteRule ^/d/(.*) /b?y=$1 [R,NE]\n"
           "RewriteRule ^/e /b? [R]\nRewriteRule ^/f /b#x [R]\nRewriteRule ^/g /b#x [R,NE]\nRewriteRule ^/h /b%20c%2f [R]\n"
           "RewriteRule ^/i /b?x=%20y [R]\nRewriteRule ^/j /b?x=%{QUERY_STRING} [R]\nRewriteRule ^/k/(.*) /b?y=$1 [R,B]\n"
           "RewriteRule ^/l/(.*) /b?y=$1 [R,B,NE]", Q, "/c/x%20y", "/c/x%26y", "/d/x%26y", "/d/x%20y", "/e?x=1", "/f", "/g",
           "/h", "/i", "/j?a=b%20c", "/k/x%20y%26z", "/l/x%20y%26z", "/c/x%22y"),
    server("s-pt", "Alias /al {doc}/sub\nRewriteRule ^/a/(.*) /al/$1 [PT]\nRewriteRule ^/b/(.*) /al/$1\nRewriteRule ^/c/(.*) rel/$1 [PT]\n"
           "RewriteRule ^/d /x.txt [PT]\nRewriteRule ^ /e.cgi", "/a/x.txt", "/b/x.txt", "/c/x", "/d", "/a/e.cgi/p?q"),
    server("s-proxy", "RewriteRule ^/a/(.*) http://127.0.0.1:{backend}/$1 [P]\nRewriteRule ^/b/(.*) http://127.0.0.1:{backend}/$1 [P,NE]\n"
           "RewriteRule ^/c/(.*) http://127.0.0.1:{backend}/$1?y=$1 [P]\nRewriteRule ^/d/(.*) http://127.0.0.1:{backend}/$1?y=1 [P,QSA]\n"
           "RewriteRule ^/e/(.*) http://127.0.0.1:{backend}/$1 [P,B]\nRewriteRule ^/f ftp://x.example/ [P]", "/a/b%20c?x=1", "/b/b%20c?x=1",
           "/b/bc?x=1", "/c/a", "/c/a%20b", "/d/a?x=%20", "/e/a%2fb%20c", "/a/%25%23;x", "/e/a%3fb", "/a/x%c3%a9"),
    server("s-env", "RewriteRule ^/a - [E=E_A:one]\nRewriteRule ^/a - [E=E_B:$0-%{ENV:E_A},E=E_C]\nRewriteRule ^/b - [E=E_A:x]\n"
           "RewriteRule ^/b - [E=!E_A]\nRewriteRule . /e.cgi [E=E_Z:%{REQUEST_FILENAME}:%{REQUEST_URI}]", "/a", "/b", "/a%20b"),
    server("s-auth", "RewriteRule .* - [E=HTTP_AUTHORIZATION:%{HTTP:Authorization}]",
           ("/e.cgi", {"Authorization": "Bearer tok"}), "/e.cgi"),
    server("s-auth-cond", "RewriteCond %{HTTP:Authorization} ^(.+)$\nRewriteRule .* - [E=HTTP_AUTHORIZATION:%1]",
           ("/e.cgi", {"Authorization": "Bearer tok"}), "/e.cgi"),
    server("s-cookie", "RewriteRule ^/a /e.cgi [CO=n:v:x.example]\nRewriteRule ^/b /e.cgi [CO=n:$0:x.example:0:/p:secure:httponly:Lax]\n"
           "RewriteRule ^/c /e.cgi [CO=;n;a:b;x.example]\nRewriteRule ^/d - [CO=n:1:d,CO=n:2:d]\nRewriteRule ^/f - [CO=n:v]",
           "/a", "/b", "/c", "/d", "/f"),
    server("s-type", "RewriteRule ^/x.txt - [H=cgi-script]\nRewriteRule ^/e.cgi - [H=default-handler]\nRewriteRule ^/y /sub/x.txt [T=text/x-y]",
           "/e.cgi", "/y"),
    # --- conditions
    server("c-vary", "RewriteCond %{HTTP:X-A} 1\nRewriteRule ^/a /e.cgi\nRewriteCond %{HTTP_USER_AGENT} curl [OR]\n"
           "RewriteCond %{HTTP:X-B} b [NV]\nRewriteRule ^/b /e.cgi\nRewriteCond %{HTTP_HOST} .\nRewriteRule ^/c /e.cgi\n"
           "RewriteCond %{HTTP:X-A} 2 [OR]\nRewriteCond %{HTTP:X-B} b\nRewriteRule ^/d /e.cgi\nRewriteCond %{HTTP:X-A}%{HTTP:X-B} .\n"
           "RewriteCond %{HTTP:X-A} .\nRewriteRule ^/e /e.cgi\nRewriteCond %{HTTP:X-A} !9\nRewriteRule ^/f /e.cgi",
           ("/a", {"X-A": "1"}), ("/a", {"X-A": "2"}), ("/b", {"User-Agent": "curl", "X-B": "b"}), ("/b", {"X-B": "b"}), "/c",
           ("/d", {"X-A": "1", "X-B": "b"}), ("/d", {"X-A": "2", "X-B": "b"}), ("/e", {"X-A": "1", "X-B": "b"}), "/f",
           ("/f", {"X-A": "1"})),
    server("c-tests", "RewriteCond $0 =/a\nRewriteRule .* /e.cgi?1 [L]\nRewriteCond $0 >/y\nRewriteRule .* /e.cgi?2 [L]\n"
           "RewriteCond %{QUERY_STRING} -eq5\nRewriteRule ^/b /e.cgi?3 [L]\nRewriteCond %{QUERY_STRING} -gt5\nRewriteRule ^/b /e.cgi?4 [L]\n"
           "RewriteCond %{QUERY_STRING} !-ne4\nRewriteRule ^/b /e.cgi?5 [L]\nRewriteCond %{QUERY_STRING} -le2\nRewriteRule ^/b /e.cgi?6 [L]\n"
           'RewriteCond %{QUERY_STRING} =""\nRewriteRule ^/c /e.cgi?7 [L]\nRewriteCond %{QUERY_STRING} ^$\nRewriteRule ^/b /e.cgi?8 [L]\n'
           "RewriteCond %{QUERY_STRING} =ABC [NC]\nRewriteRule ^/c /e.cgi?9 [L]\nRewriteCond %{QUERY_STRING} <=b\nRewriteRule ^/d /e.cgi?10 [L]\n"
           "RewriteCond %{QUERY_STRING} >=bb [NC]\nRewriteRule ^/d /e.cgi?11 [L]\nRewriteCond %{QUERY_STRING} !=zz\nRewriteRule ^/f /e.cgi?12 [L]",
           "/a", "/z", "/zz", "/b?5", "/b?6", "/b?4", "/b?1", "/b", "/b?3", "/c", "/c?abc", "/d?b", "/d?bc", "/d?BB", "/d?a", "/f?zz", "/f?y"),
    server("c-backrefs", "RewriteCond %{QUERY_STRING} ^(a)(b)?(.*)$\nRewriteCond %{REQUEST_URI} !^/(zzz)\n"
           "RewriteRule ^/(.)(.) /e.cgi?%0-%1-%2-%3-$1-$2-%4\nRewriteCond %{REQUEST_URI} ^/(..) [OR]\nRewriteCond %{QUERY_STRING} ^(.)\n"
           "RewriteRule ^/k - [E=E_A:%1]", "/xy?abc", "/xy?ac", "/kk", "/kk?z"),
    server("c-files", "RewriteCond {doc}%{REQUEST_URI} -f\nRewriteRule .* /e.cgi?f\nRewriteCond {doc}$0 -d\nRewriteRule ^/[^.]* /e.cgi?d\n"
           "RewriteCond {doc}$0 !-s\nRewriteRule ^/n /e.cgi?n\nRewriteCond {doc}$0 -l\nRewriteRule ^/l /e.cgi?l\n"
           "RewriteCond {doc}/e.cgi -x\nRewriteRule ^/x$ /e.cgi?x\nRewriteCond %{REQUEST_FILENAME} -f\nRewriteRule ^/q /e.cgi?q",
           "/x.txt", "/sub", "/n", "/x", "/l", "/q"),
    server("c-expr", 'RewriteCond expr "%{QUERY_STRING} =~ /^(.)(.)/"\nRewriteRule ^/a /e.cgi?$0-%1-%2\n'
           "RewriteCond expr \"%{HTTP:X-A} == '1'\"\nRewriteRule ^/b /e.cgi?b\nRewriteCond expr \"!(%{HTTP:X-A} == '1')\" [NV]\n"
           "RewriteRule ^/c /e.cgi?c\nRewriteCond expr \"-f '{doc}/x.txt'\"\nRewriteRule ^/d /e.cgi?d", "/a?xy", "/a",
           ("/b", {"X-A": "1"}), "/b", ("/c", {"X-A": "2"}), ("/c", {"X-A": "1"}), "/d"),
    server("c-headers", "RewriteCond %{HTTP:X-Forwarded-Proto} !=https\nRewriteRule ^/(.*) https://%{HTTP_HOST}/$1 [R=301,L]",
           "/a?x=1", ("/e.cgi", {"X-Forwarded-Proto": "https"})),
    server("c-vars", "RewriteRule ^/a /e.cgi?%{REQUEST_METHOD}|%{SERVER_NAME}|%{SERVER_PORT}|%{HTTPS}|%{REQUEST_SCHEME}|%{HTTP_HOST}|"
           "%{SERVER_PROTOCOL}|%{DOCUMENT_ROOT}|%{REQUEST_FILENAME}|%{IS_SUBREQ}|%{PATH_INFO}|%{CONTEXT_PREFIX}|%{CONTEXT_DOCUMENT_ROOT}\n"
           "RewriteRule ^/b /e.cgi?%{ENV:X}|%{HTTP:NO}|%{SCRIPT_FILENAME}|%{REMOTE_USER}|%{AUTH_TYPE}|%{HTTP_REFERER}", "/a", "/b"),
    # --- maps
    Case("m-maps", asks("/a?key", "/a?up", "/a?no", "/a?q", "/b?AbC", "/c?a%20b", "/d?a%2520b", "/e?one", "/f?no", "/g", "/i?slash",
                        "/j?x"), server="RewriteEngine On\nRewriteMap t txt:{root}/map.txt\nRewriteMap r rnd:{root}/rnd.txt\n"
         "RewriteMap l int:tolower\nRewriteMap u int:toupper\nRewriteMap es int:escape\nRewriteMap un int:unescape\n"
         "RewriteRule ^/a /e.cgi?m=${t:%{QUERY_STRING}|none-$0}\nRewriteRule ^/b /e.cgi?m=${l:%{QUERY_STRING}}${u:%{QUERY_STRING}}\n"
         "RewriteRule ^/c /e.cgi?m=${un:%{QUERY_STRING}}\nRewriteRule ^/d /e.cgi?m=${es:${un:%{QUERY_STRING}}}\n"
         "RewriteRule ^/e$ /e.cgi?m=${r:%{QUERY_STRING}}\nRewriteRule ^/f /e.cgi?m=${t:%{QUERY_STRING}}.${nomap:x|d}\n"
         "RewriteRule ^/g /e.cgi?m=${t:key}${t:key\nRewriteRule ^/i ${t:%{QUERY_STRING}}\n"
         "RewriteCond ${t:%{QUERY_STRING}|none} =none\nRewriteRule ^/j /e.cgi?none"),
    # --- per directory
    htaccess("h-front", "RewriteRule ^e\\.cgi$ - [L]\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteCond %{REQUEST_FILENAME} !-d\n"
             "RewriteRule . /e.cgi [L]", "/a/b?x=1", "/x.txt", "/e.cgi/p", "/sub/x.txt", "/a%20b", "/a%2541", "/%3fx"),
    htaccess("h-base", "RewriteBase /\nRewriteRule ^(.*)/view$ e.cgi?v=$1 [QSA]\nRewriteRule ^sub/y$ sub/x.txt", "/a/view?x=1", "/sub/y"),
    htaccess("h-wp", "RewriteRule .* - [E=HTTP_AUTHORIZATION:%{HTTP:Authorization}]\nRewriteBase /\nRewriteRule ^e\\.cgi$ - [L]\n"
             "RewriteCond %{REQUEST_FILENAME} !-f\nRewriteCond %{REQUEST_FILENAME} !-d\nRewriteRule . /e.cgi [L]",
             ("/pretty", {"Authorization": "Bearer tok"}), ("/e.cgi", {"Authorization": "Bearer tok"})),
    htaccess("h-same", "RewriteRule ^e\\.cgi$ e.cgi?y [E=E_A:1]", "/e.cgi?x"),
    htaccess("h-loop", "RewriteRule ^(.*)$ sub/$1", "/a"),
    htaccess("h-loop-end", "RewriteRule ^(.*)$ sub/$1 [END]", "/x.txt", "/e.cgi/p?q"),
    htaccess("h-loop-l", "RewriteRule ^x\\.txt$ e.cgi [L]\nRewriteRule ^e\\.cgi$ sub/e.cgi [L]", "/x.txt"),
    htaccess("h-redirect", "RewriteRule ^a$ b [R]\nRewriteRule ^c$ /d [R=301]\nRewriteRule ^e/(.*) http://x.example/$1\nRewriteRule ^g - [G]\n"
             "RewriteRule ^f - [F]\nRewriteRule ^h$ {doc}/x.txt [R]\nRewriteRule ^i - [R=404]", Q, "/c?x=1", "/e/x%20y?z=%20", "/g", "/f",
             "/h", "/i"),
    htaccess("h-redirect-base", "RewriteBase /base\nRewriteRule ^a$ b [R]\nRewriteRule ^c$ x.txt\nRewriteRule ^d$ /x.txt", Q, "/c", "/d"),
    htaccess("h-proxy", "RewriteRule ^a/(.*) http://127.0.0.1:{backend}/$1 [P]\nRewriteRule ^b/(.*) http://127.0.0.1:{backend}/$1 [P,NE]\n"
             "RewriteRule ^c/(.*) http://127.0.0.1:{backend}/$1?y=$1 [P,B]\nRewriteRule ^d/(.*) http://127.0.0.1:{backend}/$1?y=1 [P,QSA]",
             "/a/b%20c?x=1", "/a/b%25c?x=%20y", "/b/b%25c?x=1", "/c/a%20b", "/d/a?x=1", "/a/b/../c;d", "/a/b%23c", "/b/x%20y"),
    htaccess("h-pathinfo", "RewriteRule ^e\\.cgi/(.+)$ sub/e.cgi\nRewriteRule ^x/(.*) sub/e.cgi/z [DPI]\nRewriteRule ^sub/x\\.txt(.*) e.cgi$1?p [DPI]",
             "/e.cgi/p/q", "/x/y", "/sub/x.txt/more"),
    htaccess("h-query", "RewriteRule ^a$ e.cgi?y=2 [L]\nRewriteRule ^b$ e.cgi [QSD,L]\nRewriteRule ^c$ e.cgi? [L]\nRewriteRule ^d$ e.cgi?y [QSA,L]",
             Q, "/b?x=1", "/c?x=1", "/d?x=1"),
    htaccess("h-env", "RewriteRule ^a$ e.cgi [E=E_A:%{REQUEST_URI}]\nRewriteRule ^b$ sub/e.cgi [E=E_B:%{ENV:REDIRECT_STATUS}]\n"
             "RewriteRule ^e - [E=E_C:%{ENV:REDIRECT_E_A}]", "/a", "/b"),
    htaccess("h-vary", "RewriteCond %{HTTP:X-A} .\nRewriteRule ^a$ e.cgi", ("/a", {"X-A": "1"})),
    htaccess("h-three-f", "RewriteRule ^r/(.*) e.cgi?u=$1 [L]\nRewriteRule ^s/(.*) $1 [L]\nRewriteRule ^u/(.*) $1 [UnsafeAllow3F,L]",
             "/r/a%3fb", "/s/e.cgi%3fb", "/u/e.cgi%3fb"),
    htaccess("h-pt", "RewriteRule ^a$ sub/x.txt [PT]\nRewriteRule ^b$ /e.cgi [PT]", "/a", "/b"),
    htaccess("h-type", "RewriteRule ^x\\.txt$ - [H=cgi-script]\nRewriteRule ^sub/e\\.cgi - [H=none]\nRewriteRule ^y$ e.cgi [T=text/plain]", "/y"),
    htaccess("h-cookie", "RewriteRule ^a$ e.cgi [CO=n:v:x.example]\nRewriteRule ^ - [CO=n:w:x.example]", "/a"),
    htaccess("h-ctl", "RewriteRule ^a/(.*) e.cgi?x=$1 [L]\nRewriteRule ^b/(.*) e.cgi?x=$1 [B,L]\nRewriteRule ^c/(.*) e.cgi?x=$1 [BCTLS,L]",
             "/a/x%20y", "/b/x%20y", "/c/x%20y"),
    htaccess("h-lau", "RewriteCond %{LA-U:REQUEST_FILENAME} x\\.txt\nRewriteRule ^x\\.txt e.cgi\nRewriteCond {doc}/sub/x.txt -F\n"
             "RewriteRule ^f$ e.cgi?F\nRewriteCond /nothing -U\nRewriteRule ^u$ e.cgi?U", "/f", "/u"),
    Case("h-sub", asks("/sub/a", "/sub/b", "/a", "/sub/c/d", "/sub"), htaccess={"": "RewriteEngine On\nRewriteRule ^a$ x.txt\nRewriteRule ^sub/b$ x.txt",
         "sub": "RewriteEngine On\nRewriteRule ^a$ e.cgi\nRewriteRule ^c/d$ e.cgi"}),
    Case("h-sub-off", asks("/sub/a", "/a"), htaccess={"": "RewriteEngine On\nRewriteRule a$ x.txt", "sub": "RewriteEngine Off"}),
    Case("h-sub-none", asks("/sub/a", "/sub/x.txt"), htaccess={"": "RewriteEngine On\nRewriteRule a$ e.cgi?$0", "sub": "SetEnv E_S 1"}),
    Case("h-sub-inherit", asks("/sub/a", "/sub/b", "/sub/c"), htaccess={"": "RewriteEngine On\nRewriteRule a$ e.cgi?up=$0\nRewriteRule ^c /e.cgi?up",
         "sub": "RewriteEngine On\nRewriteOptions Inherit\nRewriteRule ^b$ e.cgi?sub\nRewriteRule ^c e.cgi?own"}),
    Case("h-sub-before", asks("/sub/a", "/sub/c"), htaccess={"": "RewriteEngine On\nRewriteRule a$ e.cgi?up=$0 [L]\nRewriteRule ^c /e.cgi?up [L]",
         "sub": "RewriteOptions InheritBefore\nRewriteRule ^c e.cgi?own [L]"}),
    Case("h-sub-down", asks("/sub/a", "/sub/c"), htaccess={"": "RewriteEngine On\nRewriteOptions InheritDownBefore\nRewriteRule a$ e.cgi?up=$0 [L]\n"
         "RewriteRule ^c /e.cgi?up [L]", "sub": "RewriteRule ^c e.cgi?own [L]"}),
    Case("h-sub-ignore", asks("/sub/a", "/sub/c"), htaccess={"": "RewriteEngine On\nRewriteOptions InheritDown\nRewriteRule a$ e.cgi?up=$0 [L]",
         "sub": "RewriteOptions IgnoreInherit\nRewriteRule ^c e.cgi?own [L]"}),
    Case("h-sub-base", asks("/sub/a", "/sub/c"), htaccess={"": "RewriteEngine On\nRewriteBase /\nRewriteRule ^zz e.cgi",
         "sub": "RewriteRule ^a$ e.cgi\nRewriteRule ^c$ {doc}/x.txt"}),
    Case("h-nolinks", asks("/a", "/x.txt"), htaccess={"": "Options -FollowSymLinks\nRewriteEngine On\nRewriteRule ^a$ x.txt"}),
    Case("h-noslash", asks("/sub"), htaccess={"sub": "RewriteEngine On\nRewriteOptions AllowNoSlash\nRewriteRule ^ - [F]"}),
    Case("h-alias", asks("/al/a", "/al/b", "/al/c"), server="Alias /al {doc}/sub",
         htaccess={"sub": "RewriteEngine On\nRewriteRule ^a$ e.cgi\nRewriteRule ^b$ x.txt [R]\nRewriteRule ^c$ /other/x.txt"}),
    Case("h-alias-out", asks("/al/a"), server="Alias /al {root}/h-sub/sub\n<Directory {root}/h-sub/sub>\nRequire all granted\nAllowOverride All\n"
         "Options ExecCGI FollowSymLinks\nAddHandler cgi-script .cgi\n</Directory>"),
    directory("d-front", "RewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule ^(.*)$ /e.cgi/$1 [L,QSA]", "/a/b?x", "/x.txt", "/sub/a"),
    directory("d-files", "<FilesMatch \"\\.txt$\">\nRewriteEngine On\nRewriteRule ^ - [E=E_F:1]\nRewriteRule x\\.txt$ /e.cgi\n</FilesMatch>", "/x.txt", "/a"),
    Case("d-if", asks("/e.cgi?x", "/x.txt?y"), server="<If \"%{QUERY_STRING} == 'x'\">\nRewriteEngine On\nRewriteRule e\\.cgi$ - [E=E_I:$0]\n</If>\n"
         "<If \"%{QUERY_STRING} == 'y'\">\nRewriteEngine On\nRewriteRule ^ rel\n</If>"),
    Case("l-location", asks("/app/a?x", "/app/b", "/app/c", "/app/x.txt"), server="<Location /app>\nRewriteEngine On\nRewriteRule ^(.*)/a$ /e.cgi?$1\n"
         "RewriteRule b$ rel\nRewriteRule c$ http://x.example/ [R]\n</Location>"),
    Case("l-location-proxy", asks("/app/a?x", "/app/b"), server="ProxyPass /app http://127.0.0.1:{backend}/app\n<Location /app>\nRewriteEngine On\n"
         "RewriteRule ^(.*)/a$ - [E=E_A:1]\nRewriteRule ^proxy:(.*)/b$ $1/c [P]\n</Location>"),
    Case("b-both", asks("/a", "/b", "/c"), server="RewriteEngine On\nRewriteRule ^/a /b [E=E_S:1]\nRewriteRule ^/c /sub/x.txt [END]",
         htaccess={"": "RewriteEngine On\nRewriteRule ^b$ e.cgi [E=E_H:1]\nRewriteRule ^sub/x\\.txt$ e.cgi"}),
    Case("b-engine", asks("/a", "/b"), server="RewriteRule ^/a /x.txt", htaccess={"": "RewriteEngine On\nRewriteRule ^b$ x.txt"}),
    Case("b-engine-dir", asks("/a"), server="RewriteRule ^/a /x.txt\n<Location /a>\nRewriteEngine On\n</Location>"),
    # --- mod_alias
    Case("a-alias", asks("/al/x.txt", "/al", "/alx", "//al///x.txt", "/al2/x.txt", "/al2x.txt", "/m/x.txt", "/cgi/e.cgi/p?q", "/cm/e.cgi"),
         server="Alias /al {doc}/sub\nAlias /al2/ {doc}/sub/\nAliasMatch ^/m/(.*) {doc}/sub/$1\nScriptAlias /cgi {doc}\n"
         "ScriptAliasMatch ^/cm/(.*)$ {doc}/$1"),
    Case("a-order", asks("/a/b/x.txt", "/a/x.txt", "/r/a"), server="Alias /a/b {doc}/sub\nAlias /a {doc}/other\nAlias /r {doc}/sub\nRedirect /r http://x.example/"),
    Case("a-redirect", asks("/r/a%20b?x=1", "/r", "/rx", "/p/a", "/t/a", "/s/a", "/g/a", "/g", "/n/a", "/q/a?x", "/q/a", "/m/ab%20c?x", "/mg/x", "/l/a",
                            "/f/a%3fb%23c", "/u/x"),
         server="Redirect /r http://x.example/y\nRedirect permanent /p /q2\nRedirectTemp /t https://x.example\nRedirect seeother /s http://x.example/\n"
         "Redirect gone /g\nRedirect 404 /n\nRedirect 307 /q http://x.example/?k=v\nRedirectMatch ^/m/(.)(.*) http://x.example/$2/$1\n"
         "RedirectMatch 410 ^/mg\nRedirectPermanent /l /l2\nRedirect 302 /f http://x.example/\nRedirectMatch 301 ^/u/(.) /v/$1?y=$1"),
    Case("a-redirect-ht", asks("/r/a?x=1", "/g", "/m/a", "/sub/z", "/x.txt"), htaccess={"": "Redirect 301 /r http://x.example/y\nRedirect gone /g\n"
         "RedirectMatch ^/m/(.) /n/$1\nRedirect /sub/z http://x.example/top", "sub": "Redirect /sub/z http://x.example/sub"}),
    Case("a-location", asks("/r/a?x=1", "/p/x", "/al/x.txt", "/g/x", "/n/x", "/e/abc"), server="<Location /r>\nRedirect http://x.example/y\n</Location>\n"
         "<Location /p>\nRedirect 301 /q\n</Location>\n<Location /al>\nAlias {doc}/sub/x.txt\n</Location>\n<Location /g>\nRedirect gone\n</Location>\n"
         "<Location /n>\nRedirect 404 /n\n</Location>\n<LocationMatch ^/e/(?<w>.*)>\nRedirect 302 http://x.example/%{env:MATCH_W}?z\n</LocationMatch>"),
    Case("a-relative", asks("/r/a?x", "/m/a"), server="RedirectRelative On\nRedirect /r /y\nRedirectMatch ^/m/(.) /n/$1"),
    Case("a-rewrite", asks("/r/a", "/al/a"), server="RewriteEngine On\nRewriteRule ^/r /e.cgi\nRewriteRule ^/al/a /e.cgi\nRedirect /r http://x.example/\nAlias /al {doc}/sub"),
    Case("a-rewrite-ht", asks("/r", "/s"), htaccess={"": "RewriteEngine On\nRewriteRule ^r e.cgi\nRedirect /r http://x.example/\nRedirect /s http://x.example/\n"
         "RewriteRule ^s - [F]"}),
    Case("a-preserve", asks("/al/x.txt", "/al"), server="<Location /al>\nAliasPreservePath On\nAlias {doc}/sub\n</Location>"),
    Case("a-none", asks("/x.txt"), server="Redirect 404 /n"),
    # --- virtual hosts and the main server
    Case("v-plain", asks("/a", "/b"), main="RewriteEngine On\nRewriteRule ^/a /x.txt\nRewriteMap t int:toupper", server="RewriteRule ^/b /e.cgi?${t:x}"),
    Case("v-nothing", asks("/a"), main="RewriteEngine On\nRewriteRule ^/a /x.txt\nRewriteMap t int:toupper"),
    Case("v-inherit", asks("/a", "/b"), main="RewriteEngine On\nRewriteRule ^/a /x.txt\nRewriteMap t int:toupper",
         server="RewriteOptions Inherit\nRewriteRule ^/b /e.cgi?${t:x}\nRewriteRule ^/a /e.cgi [L]"),
    Case("v-before", asks("/a", "/b"), main="RewriteEngine On\nRewriteRule ^/a /x.txt\nRewriteMap t int:toupper",
         server="RewriteOptions InheritBefore\nRewriteRule ^/b /e.cgi\nRewriteRule ^/x.txt /e.cgi?c"),
    Case("v-down", asks("/a", "/b"), main="RewriteEngine On\nRewriteOptions InheritDown\nRewriteRule ^/a /x.txt", server="RewriteRule ^/b /e.cgi"),
    Case("v-down-none", asks("/a"), main="RewriteEngine On\nRewriteOptions InheritDown\nRewriteRule ^/a /x.txt"),
    Case("v-down-ignore", asks("/a", "/b"), main="RewriteEngine On\nRewriteOptions InheritDown\nRewriteRule ^/a /x.txt",
         server="RewriteOptions IgnoreInherit\nRewriteRule ^/b /e.cgi"),
    Case("v-down-sect", asks("/a", "/b"), main="RewriteEngine On\nRewriteOptions InheritDown\nRewriteRule ^/a /x.txt",
         directory="RewriteEngine On\nRewriteRule ^b$ x.txt"),
    Case("v-alias", asks("/al/x.txt", "/r", "/o/x.txt"), main="Alias /al /nowhere\nRedirect /r http://main.example/\nAlias /o /nowhere",
         server="Alias /al {doc}/sub\nRedirect /r http://x.example/"),
    Case("v-alias-main", asks("/al/x.txt", "/r"), main="Alias /al /nowhere\nRedirect /r http://main.example/\nAlias /o /nowhere"),
)
