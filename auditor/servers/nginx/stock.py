"""Files that nginx and its packages ship, for configurations that include them from where they are not.

Only what decides about headers and gates is kept; the types of files and the character maps are left empty.
"""

from __future__ import annotations

# Parameter and value, as the files of nginx's own source distribution list them (conf/*_params).
_COMMON_FASTCGI = """
QUERY_STRING $query_string
REQUEST_METHOD $request_method
CONTENT_TYPE $content_type
CONTENT_LENGTH $content_length
SCRIPT_NAME $fastcgi_script_name
REQUEST_URI $request_uri
DOCUMENT_URI $document_uri
DOCUMENT_ROOT $document_root
SERVER_PROTOCOL $server_protocol
REQUEST_SCHEME $scheme
HTTPS $https if_not_empty
GATEWAY_INTERFACE CGI/1.1
SERVER_SOFTWARE nginx/$nginx_version
REMOTE_ADDR $remote_addr
REMOTE_PORT $remote_port
REMOTE_USER $remote_user
SERVER_ADDR $server_addr
SERVER_PORT $server_port
SERVER_NAME $server_name
REDIRECT_STATUS 200
"""
_UWSGI = """
QUERY_STRING $query_string
REQUEST_METHOD $request_method
CONTENT_TYPE $content_type
CONTENT_LENGTH $content_length
REQUEST_URI $request_uri
PATH_INFO $document_uri
DOCUMENT_ROOT $document_root
SERVER_PROTOCOL $server_protocol
REQUEST_SCHEME $scheme
HTTPS $https if_not_empty
REMOTE_ADDR $remote_addr
REMOTE_PORT $remote_port
SERVER_PORT $server_port
SERVER_NAME $server_name
"""
_SCGI = """
REQUEST_METHOD $request_method
REQUEST_URI $request_uri
QUERY_STRING $query_string
CONTENT_TYPE $content_type
DOCUMENT_URI $document_uri
DOCUMENT_ROOT $document_root
SCGI 1
SERVER_PROTOCOL $server_protocol
REQUEST_SCHEME $scheme
HTTPS $https if_not_empty
REMOTE_ADDR $remote_addr
REMOTE_PORT $remote_port
SERVER_PORT $server_port
SERVER_NAME $server_name
"""


def _lines(directive: str, table: str) -> str:
    return "".join(f"{directive} {line};\n" for line in table.splitlines() if line)


TEXTS = {
    "mime.types": "types {\n}\n",
    "koi-utf": "",
    "koi-win": "",
    "win-utf": "",
    "fastcgi_params": _lines("fastcgi_param", _COMMON_FASTCGI),
    "fastcgi.conf": _lines("fastcgi_param", "SCRIPT_FILENAME $document_root$fastcgi_script_name\n" + _COMMON_FASTCGI),
    "uwsgi_params": _lines("uwsgi_param", _UWSGI),
    "scgi_params": _lines("scgi_param", _SCGI),
    # The two below are Debian's and Ubuntu's.
    "proxy_params": _lines(
        "proxy_set_header",
        "Host $host\nX-Real-IP $remote_addr\nX-Forwarded-For $proxy_add_x_forwarded_for\nX-Forwarded-Proto $scheme\n",
    ),
    "snippets/fastcgi-php.conf": (
        "fastcgi_split_path_info ^(.+?\\.php)(/.*)$;\n"
        "try_files $fastcgi_script_name =404;\n"
        "set $path_info $fastcgi_path_info;\n"
        "fastcgi_param PATH_INFO $path_info;\n"
        "fastcgi_index index.php;\n"
        "include fastcgi.conf;\n"
    ),
    # What certbot writes beside its certificates: TLS settings only.
    "letsencrypt/options-ssl-nginx.conf": "ssl_session_timeout 1440m;\nssl_protocols TLSv1.2 TLSv1.3;\n",
}


def stock_text(path: str) -> str | None:
    """The text of the shipped file whose name `path` ends with, or None."""
    for name, text in TEXTS.items():
        if path == name or path.endswith("/" + name):
            return text
    return None
