"""How many arguments the directives take that decide about headers and gates.

A line with more has usually swallowed the next one for lack of a ";". nginx refuses it, and to read on would lead to a
wrong prediction. Other directives are taken as they come: new versions and modules change them.
"""

from __future__ import annotations

from auditor.source import InputError

# Least and most.
ARGUMENTS = {
    **dict.fromkeys(("proxy_set_header", "grpc_set_header", "auth_request_set", "set"), (2, 2)),
    **dict.fromkeys(("fastcgi_param", "uwsgi_param", "scgi_param", "add_header", "rewrite"), (2, 3)),
    **dict.fromkeys(("proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass"), (1, 1)),
    **dict.fromkeys(("proxy_hide_header", "fastcgi_hide_header", "uwsgi_hide_header", "grpc_hide_header"), (1, 1)),
    **dict.fromkeys(("proxy_pass_header", "fastcgi_pass_header", "uwsgi_pass_header", "grpc_pass_header"), (1, 1)),
    **dict.fromkeys(("proxy_pass_request_headers", "proxy_pass_request_body", "proxy_intercept_errors"), (1, 1)),
    **dict.fromkeys(("proxy_http_version", "proxy_method", "root", "alias", "allow", "deny", "satisfy"), (1, 1)),
    **dict.fromkeys(("auth_basic", "auth_basic_user_file", "auth_request", "default_type"), (1, 1)),
    **dict.fromkeys(("return", "proxy_redirect"), (1, 2)),
    "internal": (0, 0),
    **dict.fromkeys(("error_page", "try_files"), (2, 1000)),
}
BLOCKS = frozenset(("http", "events", "location", "if", "limit_except"))
TABLES = frozenset(("map", "geo", "types", "split_clients", "charset_map"))  # their lines are no directives


def check_form(name: str, count: int, opens: bool, outer: str, line: int, file: str) -> None:
    """Raises InputError where nginx refuses the number of arguments, or a block that is missing or too many.

    `name` is the directive's, `count` that of its arguments, `opens` whether a block follows, `outer` the name of the
    block that it stands in.
    """
    if outer in TABLES:
        return
    if name in BLOCKS:
        if not opens:
            raise InputError(file, line, f'directive "{name}" has no opening "{{"')
        return
    if opens:
        raise InputError(file, line, f'directive "{name}" is not terminated by ";"')
    least, most = ARGUMENTS[name]
    if least <= count <= most:
        return
    said = f'invalid number of arguments in "{name}" directive: {count} instead of {least}'
    said += "" if most == least else " or more" if most > 3 else f" or {most}"
    if count > most:
        said += '; is a ";" missing?'
    raise InputError(file, line, said)
