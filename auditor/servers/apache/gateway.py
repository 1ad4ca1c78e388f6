"""What programs get: the variables of CGI, FastCGI, SCGI, uwsgi, WSGI and PHP (util_script.c, mod_proxy_fcgi.c,
...)."""

from __future__ import annotations

import re

from auditor.servers.apache.config import Directive
from auditor.servers.apache.outgoing import fate_of
from auditor.servers.apache.rewrite_apply import passed_over
from auditor.servers.apache.rewrite_rules import displacing
from auditor.servers.apache.run import Run, by_default, decides
from auditor.servers.apache.table import Entry, Table
from auditor.servers.apache.variables import lookup
from auditor.servers.apache.workers import parse_url
from auditor.trace import ADDED, DECIDES, DISPLACES, SUPPRESSES, Because, LostHeader, SentHeader
from auditor.values import ADDRESS, CLIENT, EMPTY, SERVER, Segment, Value, client_header, literal, unknown

CORE = "mod/core.html"


def variables(run: Run, kind: str) -> tuple[list[SentHeader], list[LostHeader]]:
    """All variables that a program of this kind (cgi, fastcgi, scgi, uwsgi, wsgi, php) gets, and the headers that it
    does not get."""
    table, lost = _common(run, kind)
    _request_variables(run, table, kind)
    if kind == "fastcgi":
        _fcgi_conditions(run, table)
    run.env = table.copy()  # they are the request's own from now on: Header lines and internal redirects see them
    if kind == "scgi":
        table.unset("GATEWAY_INTERFACE")
        table.set("SCGI", literal("1", SERVER), by_default("CGI variables", "env.html"))
        if table.entry("CONTENT_LENGTH") is None:
            table.set("CONTENT_LENGTH", literal("0", SERVER), by_default("CGI variables", "env.html"))
    sent = [_sent(run, _name(entry.name, kind), entry.value, entry.because) for entry in table]
    if kind == "php":
        given = run.headers_in.entry("Authorization")
        if given is not None:  # getallheaders() and PHP_AUTH_USER read the request itself
            because = given.because or by_default("mod_php reads the request's own headers", CORE)
            sent.append(
                SentHeader("Authorization", given.value, "yes", fate_of(run, "Authorization", given.value), because)
            )
            lost = [one for one in lost if one.name.lower() != "authorization"]
    names = {one.name.upper() for one in sent}
    for name, why in run.headers_in.gone.items():
        spelled = next((key for key, _ in run.shared.request.headers if key.lower() == name), None)
        if spelled is not None and f"HTTP_{name.upper().replace('-', '_')}" not in names:
            because = tuple(one._replace(role=SUPPRESSES) if one.place is not None else one for one in why)
            lost.append(LostHeader(spelled, because))
    return sent, lost


def _name(name: str, kind: str) -> str:
    """A name as the environment of a process may have it (ap_create_environment)."""
    if kind != "cgi":
        return name
    name = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return "_" + name[1:] if name[:1].isdigit() else name


def _sent(run: Run, name: str, value: Value, because: tuple[Because, ...]) -> SentHeader:
    known = value.text is not None or any(segment.source == SERVER for segment in value.segments)
    present = "yes" if known or value.present == "yes" else "maybe"
    fate = ADDED
    if name.upper().startswith("HTTP_"):
        client = name[5:].replace("_", "-")
        fate = fate_of(run, client, value)
    return SentHeader(name, value, present, fate, because)


def _common(run: Run, kind: str) -> tuple[Table, list[LostHeader]]:
    """ap_add_common_vars: the request's environment, and on top of it its header lines as HTTP_ variables."""
    lost: list[LostHeader] = []
    table = Table()
    # Of several of a name, the last one counts, if there are any variables before (ap_add_common_vars).
    put = table.set if len(run.env) or kind == "uwsgi" else table.add
    for entry in run.env:
        table.set(*entry)
    table.gone = dict(run.env.gone)
    passes = by_default("header lines become HTTP_ variables", CORE)
    auth = _passes_authorization(run, kind)
    for entry in run.headers_in:
        low = entry.name.lower()
        if low == "content-type":
            put("CONTENT_TYPE", entry.value, passes)
        elif low == "content-length":
            value = literal("0", SERVER) if kind == "fastcgi" and run.shared.body_read else entry.value
            table.set("CONTENT_LENGTH", value, passes)
        elif low == "authorization":
            if kind == "uwsgi":  # which puts the first of several there itself
                first = run.headers_in.entry("Authorization") or entry
                table.set("HTTP_AUTHORIZATION", first.value, (*first.because, *(auth or ())))
            elif auth is not None:
                put("HTTP_AUTHORIZATION", entry.value, (*entry.because, *auth))
            elif table.entry("HTTP_AUTHORIZATION") is None:
                _withheld(run, entry, table, lost)
        elif low == "transfer-encoding" and kind == "fastcgi":  # the body is read first, and has a length then
            table.set("CONTENT_LENGTH", unknown(SERVER), by_default("the body's length", CORE))
        elif low == "proxy-authorization" and not _passes_all(run):
            lost.append(LostHeader(entry.name, by_default("CGI programs never get it", CORE)))
        elif low == "proxy":
            lost.append(LostHeader(entry.name, by_default("Proxy never becomes HTTP_PROXY", CORE)))
        elif not re.fullmatch(r"[A-Za-z0-9-]+", entry.name):
            lost.append(LostHeader(entry.name, by_default("names with other characters are left out", "env.html")))
        else:
            put(f"HTTP_{entry.name.upper().replace('-', '_')}", entry.value, entry.because or passes)
    return table, lost


def _withheld(run: Run, entry: Entry, table: Table, lost: list[LostHeader]) -> None:
    """Authorization that no line hands on. A line that means to, and does not, is to blame."""
    meant = [line for line in run.layers.all("rewriterule", "setenvif", "setenvifnocase") if _means_to(line)]
    redirected = table.entry("REDIRECT_HTTP_AUTHORIZATION")
    because: tuple[Because, ...] = by_default("CGIPassAuth Off", CORE)
    if redirected is not None and redirected.because:
        because = tuple(one._replace(role=SUPPRESSES) for one in redirected.because)
    elif meant:
        because = (Because(SUPPRESSES, meant[-1].place),)
        missed = passed_over(run)
        for line in meant:
            if line.place in missed:
                because = Because(SUPPRESSES, line.place), Because(DECIDES, missed[line.place])
            elif line.key == "rewriterule" and (inner := displacing(run.layers, line)) is not None:
                because = Because(SUPPRESSES, line.place), Because(DISPLACES, inner.place)
    elif run.notes.get("assumed"):
        # What runs PHP is not known, and mod_php sees all headers: perhaps it arrives, perhaps not.
        table.set("HTTP_AUTHORIZATION", Value((Segment(client_header(entry.name), None),)), because)
        return
    lost.append(LostHeader(entry.name, because))


def _means_to(line: Directive) -> bool:
    return any("HTTP_AUTHORIZATION" in word for word in line.args[1:])


def _passes_all(run: Run) -> bool:
    line = run.layers.last("cgipassauth")
    return line is not None and line.args[:1] != () and line.args[0].lower() == "on"


def _passes_authorization(run: Run, kind: str) -> tuple[Because, ...] | None:
    line = run.layers.last("cgipassauth")
    if line is not None and line.args and line.args[0].lower() == "on":
        return decides(line)
    if run.handler == "fcgid-script":  # mod_fcgid's own word for it
        named = [one for one in run.layers.all("fcgidpassheader") if "authorization" in map(str.lower, one.args)]
        return decides(named[-1]) if named else None
    if kind == "uwsgi":
        return by_default("mod_proxy_uwsgi hands Authorization on", "mod/mod_proxy_uwsgi.html")
    if kind == "wsgi":
        line = run.layers.last("wsgipassauthorization")
        if line is not None and line.args and line.args[0].lower() == "on":
            return decides(line)
    return None


def _request_variables(run: Run, table: Table, kind: str) -> None:
    first = run.first
    server = by_default("CGI variables", "env.html")
    values: dict[str, Value] = {
        "SERVER_SIGNATURE": unknown(SERVER),
        "SERVER_SOFTWARE": unknown(SERVER),
        "SERVER_NAME": lookup(run, "SERVER_NAME"),
        "SERVER_ADDR": unknown(SERVER),
        "SERVER_PORT": lookup(run, "SERVER_PORT"),
        "REMOTE_ADDR": Value((Segment(ADDRESS, run.shared.client_address),)),
        "DOCUMENT_ROOT": lookup(run, "DOCUMENT_ROOT"),
        "REQUEST_SCHEME": literal(run.shared.request.scheme, SERVER),
        "CONTEXT_PREFIX": unknown(SERVER),
        "CONTEXT_DOCUMENT_ROOT": unknown(SERVER),
        "SERVER_ADMIN": unknown(SERVER),
        "SCRIPT_FILENAME": literal(run.filename, SERVER) if run.filename and kind == "cgi" else unknown(SERVER),
        "REMOTE_PORT": unknown(SERVER),
    }
    if kind != "wsgi":
        values["PATH"] = unknown(SERVER)
    for name, value in values.items():
        table.set(name, value, server)
    if run.user is not None:
        table.set("REMOTE_USER", run.user, server)
    elif run.prev is not None and run.prev.user is not None:
        table.set("REDIRECT_REMOTE_USER", run.prev.user, server)
    if run.auth_type is not None:
        table.set("AUTH_TYPE", literal(run.auth_type), server)
    if run.prev is not None:
        if run.prev.args is not None:
            table.set("REDIRECT_QUERY_STRING", literal(run.prev.args, CLIENT), server)
        table.set("REDIRECT_URL", literal(run.prev.uri, CLIENT), server)
    table.set("GATEWAY_INTERFACE", literal("CGI/1.1", SERVER), server)
    table.set("SERVER_PROTOCOL", literal(run.protocol, CLIENT), server)
    table.set("REQUEST_METHOD", literal(run.method, CLIENT), server)
    table.set("QUERY_STRING", literal(run.args or "", CLIENT) if run.args else EMPTY, server)
    table.set("REQUEST_URI", literal(first.unparsed, CLIENT), server)
    script = run.uri
    if kind == "uwsgi":
        url = parse_url((run.filename or "").removeprefix("proxy:"))
        path = url.path if url is not None else ""
        if run.notes.get("proxy-nocanon"):  # else it is encoded first
            from urllib.parse import unquote

            path = unquote(path, "latin-1")
        run.path_info = "/" + path.lstrip("/")
        if run.path_info == "/":
            script = "" if script == "/" else script + "/"
    if kind == "uwsgi":  # goes by its length alone
        script = script[: len(script) - len(run.path_info)] if len(script) >= len(run.path_info) else script
    elif run.path_info:
        script = script[: _path_info_at(script, run.path_info)]
    table.set("SCRIPT_NAME", literal(script, CLIENT) if script else EMPTY, server)
    if run.path_info or kind == "wsgi":
        table.set("PATH_INFO", literal(run.path_info, CLIENT), server)
    if run.path_info and kind != "uwsgi":
        _translate_path(run)
        table.set("PATH_TRANSLATED", unknown(), server)  # none where that path is refused


def _path_info_at(uri: str, path_info: str) -> int:
    """Where in the path PATH_INFO begins (ap_find_path_info): several slashes there are one in PATH_INFO."""
    at, end = len(uri), len(path_info)
    while at and end and uri[at - 1] == path_info[end - 1]:
        at, end = at - 1, end - 1
        while path_info[end] == "/" and at and uri[at - 1] == "/":
            at -= 1
    slash = uri.find("/", max(at - 1, 0))
    return len(uri) if slash == -1 else slash


def _translate_path(run: Run) -> None:
    """The subrequest that finds PATH_TRANSLATED: it may set cookies, and edit* of the headers that are there by now may
    come to no end."""
    rules, headers = run.server.base.all("rewriterule"), run.server.base.all("requestheader")
    cookies = any("CO=" in word or "cookie=" in word for line in rules for word in line.args[2:])
    if cookies or any(line.args[:1] and line.args[0].lower() == "edit*" for line in headers):
        from auditor.servers.apache.phases import lookup as look_up

        look_up(run, run.path_info)


def _fcgi_conditions(run: Run, table: Table) -> None:
    """ProxyFCGISetEnvIf, evaluated when all variables are there."""
    lines = run.layers.all("proxyfcgisetenvif")
    if not lines:
        return
    from auditor.servers.apache import expr

    kept, run.env = run.env, table
    try:
        for line in lines:
            if len(line.args) < 2 or not expr.holds(run, expr.compile_condition(line.args[0]), line.place):
                continue
            name = line.args[1]
            if name.startswith("!"):
                table.unset(name[1:], decides(line))
            else:
                value = expr.string(run, expr.compile_string(line.args[2]), line.place) if len(line.args) > 2 else EMPTY
                table.set(name, value, decides(line))
    finally:
        run.env = kept
