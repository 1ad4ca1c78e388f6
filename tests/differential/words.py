"""The small vocabulary of the random configurations: few words, so that things meet, inherit and collide often."""

from __future__ import annotations

import base64
import os

HOSTS = ["a.example", "b.example", "www.a.example", "mail.c.example", "x.d.example", "e1.example"]
SERVER_NAMES = [
    "a.example", "b.example", "a.example www.a.example", "*.a.example", "mail.*", ".d.example", "*.example",
    r"~^e(?<num>\d)\.example$", r"~^(www\.)?(?<domain>.+)$", "_", '""', "A.Example",
]  # fmt: skip
PREFIXES = [
    "/", "/a", "/a/", "/a/b", "/a/b/", "/api", "/api/", "/api/v1/", "/admin", "/admin/", "/dir", "/dir/", "/img/",
    "/static/", "/auth", "/sign-in", "/x.php", "/A", "/err/", "/c%20d", '"/c d"', "/a.b", "/files/", "/old",
]  # fmt: skip
NESTED = ["", "b", "b/", "/b", "v1/", "x.php", "/x.html", "index.html", "/deep/", "admin"]
REGEXES = [
    r"\.php$", r"^/a", r"^/a/(.*)$", r"^/api/(?<ver>v\d+)/(.*)$", r"^/(a|b|admin)/", r"\.(html|txt|png)$", r"/x$",
    r"^/ADMIN", r"^(?<script>.+\.php)(?<info>/.*)?$", r"^/(?<first>[^/]*)", r"^/\w+/$", '"^/a{1,2}/"', r"b", r"^/$",
]  # fmt: skip
REWRITES = [
    "^/a/(.*)$", "^", "^/$", "^/api/(.*)$", "(.*)", r"\.php$", "^/(?<first>[^/]*)", "^/old", "^/x", "^/b(/|$)", "/b/",
    "^/dir$", "^(.+)/$",
]  # fmt: skip
URIS = [
    "/", "/a", "/a/b", "/b", "/b/x", "/api/v1/x", "/admin", "/err/401.html", "/err/404.html", "/missing", "/x.php",
    "/index.html", "/dir/", "/files/a.txt", "/sign-in", "/a?from=here", "/b?x=$arg_x", "/$1", "/new/$1?q=1",
    "/login?to=$request_uri", "/old$uri", "/auth", "/api/?", "/zzz?",
]  # fmt: skip
PAGES = {
    "www/index.html": "index\n", "www/a.txt": "a\n", "www/a/index.html": "a/index\n", "www/a/b": "file a/b\n",
    "www/dir/index.html": "dir\n", "www/dir/x.html": "x\n", "www/dir/index.php": "php\n", "www/x.php": "php\n",
    "www/admin/index.html": "admin\n", "www/admin/.htpasswd": "h\n", "www/err/401.html": "401\n",
    "www/err/404.html": "404\n", "www/err/50x.html": "50x\n", "www/c d/e.txt": "cd\n", "www/img/b.png": "png\n",
    "www/api/v1/x": "x\n", "www/sign-in": "sign in\n", "www/b/index.html": "b\n", "www/static/empty/.keep": "",
    "www/auth": "auth\n", "other/index.html": "other\n", "other/a/x.html": "x\n", "other/x": "other x\n",
    "other/dir/x.html": "other dir x\n", "other/index.txt": "text\n",
}  # fmt: skip
USERS = {
    # alice's password is secret, bob's is hunter2; one scheme for each line that nginx knows by itself
    "users/apr1": "# users\nalice:$apr1$jTzwIzvJ$nOfIi4TOqVos5YryRjxLW0\nbob:{SHA}87u9ZqY9S/F0eUBXjsPQEDUw4h0=\n",
    "users/plain": "alice:{PLAIN}secret\nbob:{PLAIN}hunter2:a comment\n\nnobody\n",
    "users/ssha": "bob:{SSHA}gK+fFFujqnweTpwCQ7Sp02gQxCJzYWx0\nalice:{PLAIN}other\nalice:{PLAIN}secret\n",
    "users/crypt": "alice:abNANd1rDfiNc\n",
    "users/sha5": "alice:$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA\nbob:$1$abc$9dV135Rc3U8Xbm2DxadgF0\n",
    "users/empty": "",
    "users/jwks": '{"keys": [{"kty": "oct", "kid": "k", "alg": "HS256", '
    '"k": "YSBzZWNyZXQgb2YgdGhlIHRlc3RzLCAzMiBieXRlcyE"}]}\n',
}
FASTCGI_PARAMS = """\
fastcgi_param  QUERY_STRING       $query_string;
fastcgi_param  REQUEST_METHOD     $request_method;
fastcgi_param  CONTENT_TYPE       $content_type;
fastcgi_param  CONTENT_LENGTH     $content_length;
fastcgi_param  SCRIPT_NAME        $fastcgi_script_name;
fastcgi_param  REQUEST_URI        $request_uri;
fastcgi_param  DOCUMENT_URI       $document_uri;
fastcgi_param  DOCUMENT_ROOT      $document_root;
fastcgi_param  SERVER_PROTOCOL    $server_protocol;
fastcgi_param  REQUEST_SCHEME     $scheme;
fastcgi_param  HTTPS              $https if_not_empty;
fastcgi_param  GATEWAY_INTERFACE  CGI/1.1;
fastcgi_param  SERVER_SOFTWARE    nginx/$nginx_version;
fastcgi_param  REMOTE_ADDR        $remote_addr;
fastcgi_param  REMOTE_PORT        $remote_port;
fastcgi_param  SERVER_ADDR        $server_addr;
fastcgi_param  SERVER_PORT        $server_port;
fastcgi_param  SERVER_NAME        $server_name;
fastcgi_param  REDIRECT_STATUS    200;
"""
STOCK = {
    "fastcgi_params": FASTCGI_PARAMS,
    "uwsgi_params": FASTCGI_PARAMS.replace("fastcgi_param", "uwsgi_param"),
    "scgi_params": FASTCGI_PARAMS.replace("fastcgi_param", "scgi_param"),
    "mime.types": "types {\n    text/html html;\n    text/plain txt;\n    image/png png;\n}\n",
}
CERTIFICATE = os.path.join(os.path.dirname(__file__), "tls", "audit.test.pem")
with open(CERTIFICATE, encoding="ascii") as _file:
    TLS = {"tls.pem": _file.read()}
# The files that every case has beside it.
COMMON = {**PAGES, **STOCK, **USERS, **TLS}
METHODS = [
    *["GET"] * 36,
    *["POST"] * 9,
    *["HEAD", "OPTIONS", "DELETE", "PUT", "PATCH"] * 3,
    "FOO",
    "PROPFIND",
    "get",
    "TRACE",
]
REQUEST_NAMES = ["X-A", "X-B", "X-User", "X-Forwarded-For", "Authorization", "Cookie", "X-Token", "Origin", "Accept"]
SET_NAMES = [
    "Host", "Host", "Authorization", "Authorization", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto", "X-User",
    "Connection", "Upgrade", "Cookie", "X-A", "X-B", "x-a", "Content-Length", "Accept-Encoding", "Content-Type",
    "Range",
    "X_C", "TE", "Transfer-Encoding", "If-None-Match", "X-Forwarded-Host", "Remote-User", "Expect", "Keep-Alive",
    "User-Agent", "HOST", "Proxy-Connection", "If-Modified-Since",
]  # fmt: skip
VARIABLES = [
    "$host", "$http_host", "$proxy_host", "$scheme", "$remote_addr", "$proxy_add_x_forwarded_for",
    "$http_authorization",
    "$http_x_a", "$http_x_b", "$http_x_token", "$remote_user", "$request_uri", "$uri", "$args", "$arg_t", "$is_args",
    "$request_method", "$server_name", "$server_port", "$http_upgrade", "$http_connection", "$cookie_sid", "$1", "$2",
    "$document_uri", "$document_root", "$request_filename", "$content_type", "$content_length", "$server_protocol",
    "$server_addr", "$https", "$realip_remote_addr", "$http_cookie", "$http_x_forwarded_for", "$request", "$proxy_port",
    "$query_string", "$realpath_root", "$http_origin", "$http_x_user", "$nginx_version", "$arg_x", "$http_user_agent",
    "$http_referer", "$http_content_length", "$http_missing", "$fastcgi_script_name", "$ssl_client_s_dn", "$status",
    "$sent_http_x_cfg", "$upstream_http_x_up", "$upstream_status", "$upstream_addr", "$cookie_", "$arg_", "$http_te",
    "$limit_rate", "$request_completion", "$http_x_c", "$http_via", "$upstream_cookie_sid", "$request_body_file",
]  # fmt: skip
ANSWER_STATUS = [200] * 14 + [201, 204, 301, 302, 304, 307, 400, 401, 401, 401, 403, 403, 404, 404, 405, 409, 418, 429,
                              500, 502, 503, 504]  # fmt: skip


def basic(user: str, password: str) -> str:
    """The value of an Authorization line with these credentials (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode("latin-1")).decode()
