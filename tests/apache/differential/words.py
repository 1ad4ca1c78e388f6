"""The small vocabulary of the random configurations of httpd: few words, so that things meet, inherit and collide."""

from __future__ import annotations

from tests.apache import lab

SECRET = "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/"  # of alice: secret
PAGES = {
    "www/index.html": "index\n", "www/a.txt": "a\n", "www/b.html": "b\n", "www/dir/index.html": "dir\n",
    "www/dir/x.txt": "x\n", "www/dir/sub/y.txt": "y\n", "www/dir/sub/index.html": "sub\n", "www/app/a.txt": "app a\n",
    "www/app/x.php": "php\n", "www/empty/.keep": "", "www/err/401.html": "401\n", "www/err/404.html": "404\n",
    "www/err/e.cgi": lab.FILES["www/e.cgi"], "www/app/e.cgi": lab.FILES["www/e.cgi"], "www/x.php": "php\n",
    "bin/e.cgi": lab.FILES["www/e.cgi"], "www/admin/index.html": "admin\n", "www/admin/s.txt": "s\n",
    "www/c d/e.txt": "cd\n", "www/new/a.txt": "new a\n",
    "site/index.html": "site\n", "site/a.txt": "site a\n", "site/dir/x.txt": "site x\n", "site/e.cgi":
    lab.FILES["www/e.cgi"], "site/dir/x.php": "php\n", "ht/good": f"alice:{SECRET}\n",
    "ht/both": f"alice:{SECRET}\nbob:{{SHA}}87u9ZqY9S/F0eUBXjsPQEDUw4h0=\n", "ht/empty": "",
    "ht/groups": "staff: alice bob\nothers: bob\n", "maps/m.txt": "a one\nb two\nv /dir/x.txt\n/a.txt yes\n",
}  # fmt: skip
COMMON = {**{name: text for name, text in lab.FILES.items() if not name.endswith((".php", ".wsgi"))}, **PAGES}
FOLDERS = ["www", "www/dir", "www/dir/sub", "www/app", "www/admin", "site", "site/dir", "www/empty"]
DIRECTORIES = ["/", "@DIR@/www", "@DIR@/www", "@DIR@/www/", "@DIR@/www/dir", "@DIR@/www/dir/sub", "@DIR@/www/app",
               "@DIR@/www/admin", "@DIR@/site", "@DIR@/www/*", "@DIR@/*/dir", "@DIR@/www/d?r"]  # fmt: skip
DIRECTORY_REGEXES = ["^@DIR@/www/d", "/(dir|app)/", "/sub", "^@DIR@/www/(?<name>[^/]+)/", "www", "/dir$"]
LOCATIONS = ["/", "/a.txt", "/dir", "/dir/", "/app", "/app/", "/admin", "/api", "/api/", "/p", "/p/", "/dir/sub",
             "/*.txt", "/d*/", "/x.php", "/dir/x.txt", "/new", "/missing", "//app"]  # fmt: skip
LOCATION_REGEXES = [r"^/a", r"\.txt$", r"^/(dir|app)/(.*)$", r"^/api/(?<ver>v\d+)/", r"\.php(/|$)", "dir", r"^/$"]
FILES = ["a.txt", "*.txt", "index.html", "*.php", "x.*", "?.txt", "e.cgi", "*.cgi", "x.txt"]
FILE_REGEXES = [r"\.(txt|html)$", r"^x\.", r"\.php$", r"^\.ht", r"^(?<base>\w+)\.cgi$"]
PREFIXES = ["/", "/p", "/p/", "/api", "/api/", "/app", "/app/", "/dir/", "/api/v1", "/x", "/new/", "/q"]
HOSTS = ["a.example", "b.example", "www.a.example", "t.example", "x.d.example"]
SERVER_NAMES = ["a.example", "b.example", "A.Example", "a.example:80", "http://b.example:8080", "x.d.example"]
ALIASES = ["www.a.example", "*.example", "?.example", "www.* x.d.example"]
URIS = ["/", "/a.txt", "/dir/", "/dir", "/dir/x.txt", "/app/e.cgi", "/e.cgi", "/x.php", "/missing", "/admin/s.txt",
        "/app/x.php", "/api/x", "/p/x", "/new/a.txt", "/err/404.html", "/index.html", "/err/e.cgi"]  # fmt: skip
CONDITIONS = [
    "true", "%{REQUEST_URI} =~ m#^/(dir|api)#", "%{HTTP:X-A} == 'v'", "-n %{HTTP:Authorization}",
    "%{REQUEST_METHOD} in {'POST', 'PUT'}", "%{QUERY_STRING} =~ /t=(\\w+)/", "req('X-B') != ''",
    "!(%{HTTP_HOST} == 'a.example')",
    "%{HTTP:X-A} =~ /^(v|one)/ && %{REQUEST_METHOD} == 'GET'", "-z %{HTTP_COOKIE}",
    "%{REMOTE_ADDR} -ipmatch '127.0.0.5'",
    "-R '127.0.0.0/8'", "reqenv('V1') == '1'", "%{REQUEST_URI} -strmatch '*.txt'",
    "tolower(%{HTTP:X-User}) == 'mallory'",
    "%{REQUEST_SCHEME} == 'https'", "%{HTTP:X-A} -in {'v2', 'one'}", "%{REMOTE_USER} == 'alice'", "-T reqenv('V2')",
    "%{SERVER_PORT} -eq 80", "%{HTTP_ORIGIN} =~ m#^https://(.+)$#", "false",
]  # fmt: skip
VARIABLES = ["V1", "V2", "HTTP_AUTHORIZATION", "REMOTE_USER", "HTTP_X_A", "no-gzip", "V3", "X-A", "proxy-nokeepalive",
             "force-proxy-request-1.0", "HTTPS"]  # fmt: skip
REQUEST_NAMES = ["X-A", "X-B", "X-User", "Authorization", "Cookie", "X-Forwarded-For", "Host", "X-New", "x-a", "Origin",
                 "Proxy-Authorization", "Accept", "X_C", "Connection", "Content-Type", "X-B"]  # fmt: skip
ANSWER_NAMES = ["X-R", "X-S", "X-Up", "Set-Cookie", "Cache-Control", "Vary", "Location", "WWW-Authenticate",
                "Access-Control-Allow-Origin", "Access-Control-Allow-Headers", "X-Frame-Options", "x-r"]  # fmt: skip
METHODS = ["GET", "POST", "GET POST", "PUT DELETE", "OPTIONS", "PATCH", "FOO"]
