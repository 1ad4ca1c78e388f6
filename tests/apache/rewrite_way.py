"""A request's way as far as mod_rewrite and mod_alias have to do with it: translate, sections, fixups, redirects."""

from __future__ import annotations

import posixpath
import re
from typing import Any
from urllib.parse import unquote_to_bytes

from auditor.http import Request
from auditor.servers.apache import alias, env, rewrite, walk
from auditor.servers.apache.config import Address, Config, Directive, Section, Server
from auditor.servers.apache.modules import Modules
from auditor.servers.apache.run import InternalRedirect, Options, Respond, Run, Shared
from auditor.servers.apache.storage import document_root
from auditor.servers.apache.syntax import Node, parse, words_of
from auditor.servers.apache.table import Entry, Table
from auditor.source import SourceFile
from auditor.values import SERVER, client_header, literal
from auditor.world import Answer, Asked, Path, Question, Unknowns
from auditor.world import walk as walk_paths
from tests.apache.rewrite_cases import CASES, FILES, MAPS, Ask, Case

ROOT = "/srv/lab"
_KINDS = {"directory": "directory", "directorymatch": "directory", "location": "location", "locationmatch": "location"}
_KINDS |= {"files": "files", "filesmatch": "files", "if": "if"}


class Disk:
    """The world in which the lab's files are there and nothing else is but the folders of any machine."""

    def __init__(self, case: str) -> None:
        self.files = {f"{ROOT}/{name}/{file}" for name in (case, "h-alias") for file in FILES} | {"/etc/passwd"}
        self.folders = {posixpath.dirname(path) for path in self.files} | {ROOT, "/", "/srv", "/usr", "/etc"}

    def ask(self, question: Question) -> Answer | None:
        if question.kind == "variable":  # an -x, -F or -l that is asked behind the state of the file
            return Answer("yes", "", not question.subject.endswith("-L"))
        if question.kind != "file":
            return None
        path = question.subject
        name = "file" if path in self.files else "directory" if path in self.folders else "missing"
        return Answer(name, path)


class _Htaccess:
    """The .htaccess of a case, as what AllowOverride All lets them say."""

    def __init__(self, case: Case) -> None:
        other = next(one for one in CASES if one.name == "h-alias")
        self.texts = {posixpath.join(f"{ROOT}/{other.name}", folder): text for folder, text in other.htaccess.items()}
        self.texts |= {
            posixpath.join(f"{ROOT}/{case.name}", folder).rstrip("/"): text for folder, text in case.htaccess.items()
        }
        self.case = case.name

    def section(self, folder: str, layers: object) -> Section | None:
        text = self.texts.get(folder)
        if text is None:
            return None
        section = make_section("htaccess", folder, parse(source(text, self.case)))
        section.folder = folder
        return section


def source(text: str, case: str) -> SourceFile:
    words = {"{doc}": f"{ROOT}/{case}", "{root}": ROOT, "{port}": "8080", "{backend}": "9090"}
    for word, value in words.items():
        text = text.replace(word, value)
    return SourceFile("httpd.conf", text)


def make_section(kind: str, argument: str, nodes: tuple[Node, ...], regex: bool = False) -> Section:
    directives, sections = [], []
    for node in nodes:
        if node.children is None:
            directives.append(Directive(node.name, node.key, words_of(node.rest), node.rest, node.place))
        else:
            name = node.key[1:]
            words = words_of(node.rest)
            inner = make_section(_KINDS[name], words[0], node.children, name.endswith("match"))
            inner.place = node.place
            sections.append(inner)
    return Section(kind, argument, regex, None, directives, sections)


def make_config(case: Case) -> Config:
    main = Server(make_section("server", "", parse(source(case.main, "main"))), None, [], None)
    doc = f"{ROOT}/{case.name}"
    text = f"ServerName {case.name}.example\nDocumentRoot {doc}\n<Directory {doc}>\n"
    text += (
        f"Options +ExecCGI +FollowSymLinks\nAddHandler cgi-script .cgi\n{case.directory}\n</Directory>\n{case.server}"
    )
    host = Server(make_section("server", "", parse(source(text, case.name))), None, [Address("*", 8080)], main)
    config = Config(
        main, [host], [], Modules(["rewrite", "alias", "proxy", "headers", "setenvif", "mime", "env"], True), ROOT
    )
    config.files = [SourceFile(f"{ROOT}/{name}", text) for name, text in MAPS.items()]
    return config


def send(case: Case, ask: Ask, version: tuple[int, ...] = (2, 4, 71)) -> dict[str, Any]:
    """What becomes of the request, in the words of the lab."""
    run, result = go(case, ask, version)
    vary = list(dict.fromkeys(run.vary))
    if vary and result["status"] == 200:
        result["vary"] = vary
    cookies = [entry.value.text for entry in run.first.errors_out.all("Set-Cookie")]
    if cookies:
        result["set-cookie"] = cookies
    return result


def prepared(case: Case, ask: Ask, version: tuple[int, ...] = (2, 4, 71), path: Path | None = None) -> Run:
    """The request as it is read, and its sections found."""
    run = make_run(case, ask, version, path or Path(Disk(case.name)))
    _map(run)
    return run


def answer(case: Case, ask: Ask) -> dict[str, Any]:
    """The way without internal redirects; what ends it is raised."""
    return _serve(make_run(case, ask, (2, 4, 71), Path(Unknowns())))


def walked(case: Case, ask: Ask) -> list[tuple[int, tuple[Asked, ...]]]:
    """All ways through server-wide rules in a world of which nothing is known: 404 where no rule answers."""

    def way(path: Path) -> int:
        try:
            rewrite.translate(make_run(case, ask, (2, 4, 71), path))
        except Respond as end:
            return end.status
        return 404

    found = walk_paths(way, Unknowns())
    assert found is not None
    return found


def make_run(case: Case, ask: Ask, version: tuple[int, ...], path: Path) -> Run:
    config = make_config(case)
    headers = (("Host", f"{case.name}.example:8080"), ("Connection", "close"), *ask.headers)
    target = ask.target.replace("{backend}", "9090")
    request = Request(ask.method, False, "127.0.0.1", 8080, target, "1.1", headers)
    shared = Shared(config, _Htaccess(case), Options(version), path, request)  # type: ignore[arg-type]
    run = Run(shared, config.hosts[0])
    run.host = f"{case.name}.example"
    run.headers_in = Table([Entry(name, literal(value, client_header(name))) for name, value in headers])
    _target(run, target)
    return run


def go(case: Case, ask: Ask, version: tuple[int, ...] = (2, 4, 71)) -> tuple[Run, dict[str, Any]]:
    """The whole way: the request that was answered, and the answer."""
    run = make_run(case, ask, version, Path(Disk(case.name)))
    if re.search("%2f", ask.target.partition("?")[0], re.IGNORECASE):
        return run, {"status": 404}
    for _ in range(11):
        try:
            return run, _serve(run)
        except Respond as end:
            result: dict[str, Any] = {"status": end.status}
            if end.location is not None:
                result["location"] = [end.location.text]
            return run, result
        except InternalRedirect as redirect:
            run = _redirected(run, redirect.uri)
    return run, {"status": 500}


def _target(run: Run, target: str) -> None:
    path, mark, query = target.partition("?")
    path = unquote_to_bytes(path).decode("latin-1")
    if "/../" in path or "/.." in path:
        path = posixpath.normpath(path) + ("/" if path.endswith(("/", "/..")) else "")
    run.uri = re.sub("//+", "/", path)
    run.args = query if mark else None


def _redirected(old: Run, uri: str) -> Run:
    new = Run(old.shared, old.server)
    new.prev, new.host, new.headers_in, new.errors_out = old, old.host, old.headers_in, old.errors_out
    new.unparsed, new.vary = uri, list(old.vary)
    path, mark, query = uri.partition("?")
    new.uri, new.args = path, query if mark else None
    for entry in old.env:
        new.env.add(f"REDIRECT_{entry.name}", entry.value)
    new.env.set("REDIRECT_STATUS", literal("200", SERVER))
    return new


def _map(run: Run) -> str:
    """Translation and sections; what lies at the file name."""
    walk.location(run)
    walk.conditions(run)
    root = document_root(run)
    if not rewrite.translate(run) and not _proxy_pass(run) and not alias.translate(run):
        if not run.uri.startswith("/"):
            raise Respond(400)
        run.filename = root + run.uri
    run.layers = run.server.base
    state = "proxied"
    if not run.is_proxy:
        state = run.found = _find(run)
        assert run.filename is not None
        walk.directory(run, walk.folders_of(run.filename, state == "directory"))
        if state == "file":
            walk.files(run, posixpath.basename(run.filename))
    walk.location(run)
    walk.conditions(run)
    return state


def _serve(run: Run) -> dict[str, Any]:
    state = _map(run)
    if run.filename is not None and run.filename.endswith(".cgi"):
        run.handler = run.handler or "cgi-script"
    _fixups(run)
    if run.is_proxy or (run.handler or "").startswith("proxy:"):
        assert run.filename is not None
        return {"status": 200, "origin": run.filename.removeprefix("proxy:")}
    if state != "file":
        return {"status": 404}
    if run.handler == "cgi-script":
        if not (run.filename or "").endswith(".cgi"):
            return {"status": 500}  # no program
        script = {entry.name: entry.value.text for entry in run.env}
        script |= {"SCRIPT_FILENAME": run.filename, "QUERY_STRING": run.args or ""}
        if run.path_info:
            script["PATH_INFO"] = run.path_info
        return {"status": 200, "script": script}
    if run.path_info:
        return {"status": 404}
    # The lab knows a file by what it says of itself, and a script says nothing.
    speaks = run.filename is not None and run.filename.startswith(ROOT) and not run.filename.endswith(".cgi")
    return {"status": 200, "file": run.filename} if speaks else {"status": 200}


def _fixups(run: Run) -> None:
    """An internal redirect is followed only when the other modules have done their part."""
    redirect = None
    try:
        rewrite.fixup(run)
    except InternalRedirect as found:
        redirect = found
    env.fixup(run)
    alias.fixup(run)
    if redirect is not None:
        raise redirect


def lookup(run: Run, uri: str) -> Run:
    """A subrequest for -U."""
    sub = Run(run.shared, run.server)
    sub.main, sub.host, sub.headers_in = run, run.host, run.headers_in
    _target(sub, uri)
    try:
        sub.status = _serve(sub)["status"]
        sub.status = 200 if sub.status == 404 else sub.status  # that nothing is there is found by the handler only
    except Respond as end:
        sub.status = end.status
    return sub


def _proxy_pass(run: Run) -> bool:
    for line in run.server.all("proxypass"):
        if run.uri.startswith(line.args[0] + "/"):
            run.is_proxy, run.filename = True, f"proxy:{line.args[1]}{run.uri[len(line.args[0]) :]}"
            return True
    return False


def _find(run: Run) -> str:
    """The longest part of the path that is a file; the rest is PATH_INFO."""
    assert run.filename is not None
    path = re.sub("//+", "/", run.filename)
    disk = Disk(run.host.removesuffix(".example"))
    if path in disk.folders:
        run.filename = path
        return "directory"
    for at in [len(path), *(index for index in range(len(path) - 1, 0, -1) if path[index] == "/")]:
        if path[:at] in disk.files:
            run.filename, run.path_info = path[:at], path[at:]
            return "file"
        if path[:at] in disk.folders:
            # What lies below is missing: httpd keeps the first missing segment as the file name.
            end = path.find("/", at + 1)
            run.filename, run.path_info = (path, "") if end == -1 else (path[:end], path[end:])
            return "missing"
    return "missing"


# --- predictions and measurements side by side

# What others set, and this way through the two modules does not show.
_NOT_OURS = ("CONTEXT_", "PATH_TRANSLATED", "REQUEST_URI", "REDIRECT_URL", "REDIRECT_QUERY_STRING")


def plain(result: dict[str, Any], case: str) -> dict[str, Any]:
    """A prediction with the lab's words for folders and ports."""

    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: change(one) for name, one in value.items()}
        if isinstance(value, list):
            return [change(one) for one in value]
        if isinstance(value, str):
            value = value.replace(f"{ROOT}/{case}", "{doc}").replace(ROOT, "{root}")
            return value.replace("|8080|", "|{port}|").replace(":8080", ":{port}").replace(":9090", ":{backend}")
        return value

    changed: dict[str, Any] = change(result)
    return changed


def compared(result: dict[str, Any], case: str = "") -> dict[str, Any]:
    """What counts of a result: not the variables that others set, nor how mod_proxy writes a URL once more."""
    result = plain(result, case) if case else dict(result)
    if "script" in result:
        result["script"] = {name: value for name, value in result["script"].items() if not name.startswith(_NOT_OURS)}
    if "vary" in result:
        result["vary"] = sorted({name for line in result["vary"] for name in re.split(", *", line)})
    if "origin" in result:
        result["origin"] = True
    return result
