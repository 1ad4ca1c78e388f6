"""Configurations of a chosen length for the benchmark, of the kind that people run: proxies that share header snippets,
areas behind passwords and subrequests, PHP, redirects, static files, upstreams and a long map."""

from __future__ import annotations

import os
import shutil

# One location in 8.3 lines: 10,000 lines hold 1,200 of them.
LINES_PER_LOCATION = 25 / 3
LOCATIONS_PER_SERVER = 20

PROXY_SNIPPET = """\
proxy_http_version 1.1;
proxy_set_header Host $host;
proxy_set_header X-Real-IP $remote_addr;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme;
proxy_set_header X-Remote-User "";
"""

FASTCGI_SNIPPET = """\
fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
fastcgi_param REQUEST_METHOD $request_method;
fastcgi_param QUERY_STRING $query_string;
fastcgi_param REQUEST_URI $request_uri;
fastcgi_param REMOTE_ADDR $remote_addr;
"""

# What stands at the top of every server block; its last line is a location.
SERVER = """\
    server {
        listen 8080;
        server_name site@S@.example www.site@S@.example;
        root /srv/site@S@;
        access_log /var/log/nginx/site@S@.log;
        client_max_body_size 20m;
        if ($moved) { return 301 $moved; }

        location = /_auth {
            internal;
            proxy_pass http://backend@S@/check;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header X-Original-URI $request_uri;
        }
"""

UPSTREAM = """\
    upstream backend@S@ {
        server 127.0.0.1:9000;
        server 127.0.0.1:9001 backup;
        keepalive 16;
    }
"""

# The locations of a server, taken in turn; @N@ makes the paths differ.
LOCATIONS = (
    """\
        location /app@N@/ {
            include snippets/proxy.conf;
            proxy_pass http://backend@S@;
        }
""",
    """\
        location /api@N@/ {
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Remote-User "";
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_read_timeout 300s;
            proxy_pass http://backend@S@;
        }
""",
    """\
        location ^~ /staff@N@/ {
            auth_basic "Staff @N@";
            auth_basic_user_file /etc/nginx/staff.htpasswd;
            include snippets/proxy.conf;
            proxy_set_header Authorization "";
            proxy_pass http://backend@S@;
        }
""",
    """\
        location ~ ^/files@N@/(\\d+)/(.+\\.(?:pdf|zip))$ {
            include snippets/proxy.conf;
            proxy_hide_header X-Powered-By;
            proxy_pass http://backend@S@/download/$1/$2;
        }
""",
    """\
        location ~ ^/blog@N@/.+\\.php$ {
            include snippets/fastcgi.conf;
            fastcgi_param HTTPS $https if_not_empty;
            fastcgi_read_timeout 60s;
            fastcgi_pass 127.0.0.1:9003;
        }
""",
    """\
        location = /old@N@ {
            return 301 /app@N@/;
        }
""",
    """\
        location /static@N@/ {
            expires 7d;
            add_header Cache-Control "public" always;
            add_header X-Content-Type-Options nosniff always;
            try_files $uri $uri/ =404;
        }
""",
    """\
        location ^~ /wiki@N@/ {
            auth_request /_auth;
            auth_request_set $user@N@ $upstream_http_x_user;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Remote-User $user@N@;
            proxy_pass http://backend@S@;
        }
""",
    """\
        location /shop@N@/ {
            limit_except GET HEAD POST { deny all; }
            rewrite ^/shop@N@/item-(\\d+)$ /shop@N@/item?id=$1 break;
            include snippets/proxy.conf;
            error_page 502 504 /maintenance.html;
            proxy_pass http://backend@S@;
        }
""",
    """\
        location /cors@N@/ {
            if ($request_method = OPTIONS) {
                add_header Access-Control-Allow-Origin "https://app.example";
                add_header Access-Control-Allow-Headers "Authorization";
                return 204;
            }
            add_header Access-Control-Allow-Origin "https://app.example" always;
            include snippets/proxy.conf;
            proxy_pass http://backend@S@;
        }
""",
)

HEAD = """\
worker_processes auto;
events { worker_connections 1024; }

http {
    server_names_hash_max_size 65536;
    map_hash_max_size 65536;
    map $http_upgrade $connection_upgrade {
        default upgrade;
        "" close;
    }
    map $uri $moved {
"""
HEAD_END = "    }\n"
TAIL = "}\n"

# Fifty lines are a site of their own and not the beginning of a big one.
SMALL = os.path.join(os.path.dirname(__file__), "small.conf")
SMALL_LINES = 50
# The same for httpd, and a main file with very many virtual hosts.
SMALL_HTACCESS = os.path.join(os.path.dirname(__file__), "small.htaccess")
HTTPD_HEAD = """\
ServerRoot /etc/httpd
Listen 80
"""
HTTPD_HOST = """\
<VirtualHost *:80>
    ServerName site@N@.example
    DocumentRoot /srv/site@N@
    ProxyPass /api@N@/ http://127.0.0.1:9000/
    <Location /staff@N@>
        AuthType Basic
        AuthName Staff
        AuthUserFile /etc/httpd/staff
        Require valid-user
    </Location>
</VirtualHost>
"""


def write_htaccess(folder: str) -> str:
    """Writes a .htaccess of 50 lines; returns its path."""
    path = os.path.join(folder, ".htaccess")
    shutil.copyfile(SMALL_HTACCESS, path)
    return path


def write_httpd(folder: str, hosts: int) -> str:
    """Writes a main file of httpd with that many virtual hosts of ten lines; returns its path."""
    path = os.path.join(folder, "httpd.conf")
    _write(path, HTTPD_HEAD + "".join(HTTPD_HOST.replace("@N@", str(number)) for number in range(hosts)))
    return path


def write(folder: str, lines: int) -> str:
    """Writes a configuration whose main file has that many lines, with its snippets; returns the main file's path."""
    os.makedirs(os.path.join(folder, "snippets"), exist_ok=True)
    for name, text in (("proxy", PROXY_SNIPPET), ("fastcgi", FASTCGI_SNIPPET)):
        _write(os.path.join(folder, "snippets", f"{name}.conf"), text)
    path = os.path.join(folder, "nginx.conf")
    if lines == SMALL_LINES:
        shutil.copyfile(SMALL, path)
    else:
        _write(path, nginx_conf(lines))
    return path


def write_many(folder: str, count: int, lines: int) -> list[str]:
    """Writes that many configurations, each in a folder of its own and no two alike; returns the main files' paths."""
    paths = []
    for number in range(count):
        path = write(os.path.join(folder, f"site{number:04}"), lines)
        _write(path, nginx_conf(lines, number + 1))
        paths.append(path)
    return paths


def nginx_conf(lines: int, variant: int = 0) -> str:
    """The main file. The map of moved pages fills it up to that number of lines. Variants differ in their names, in the
    number of their locations, and in which kinds of location they have. Raises ValueError below 200."""
    if lines < 200:
        raise ValueError(f"{lines} lines are too few")
    wanted = round(lines / LINES_PER_LOCATION) - (variant and 3 + variant % 11)
    servers: list[str] = []
    made = 0
    while made < wanted:
        count = min(LOCATIONS_PER_SERVER, wanted - made)
        servers.append(_server(len(servers) + 1 + variant, made + variant, count))
        made += count
    body = "".join(servers)
    moved = lines - sum(part.count("\n") for part in (HEAD, HEAD_END, body, TAIL))
    entries = "".join(f"        /moved/{number} /app1/{number};\n" for number in range(moved))
    return HEAD + entries + HEAD_END + body + TAIL


def _server(server: int, before: int, locations: int) -> str:
    """An upstream and the server block that uses it, with that many locations, of which the subrequest's is the
    first."""
    blocks = [LOCATIONS[(before + i) % len(LOCATIONS)].replace("@N@", str(before + i)) for i in range(1, locations)]
    return (UPSTREAM + SERVER + "".join(blocks) + "    }\n").replace("@S@", str(server))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii", newline="\n") as file:
        file.write(text)
