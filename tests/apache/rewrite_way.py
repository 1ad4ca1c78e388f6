"""The cases of rewrite_cases.txt as configurations, and what the predictor says of their requests."""

from __future__ import annotations

import posixpath
import re
from typing import Any
from urllib.parse import unquote_to_bytes

from auditor.http import Request
from auditor.servers.apache import alias, phases, rewrite, storage, walk
from auditor.servers.apache.config import Address, Config, Directive, Section, Server
from auditor.servers.apache.modules import Modules
from auditor.servers.apache.run import Options, Respond, Run, Shared
from auditor.servers.apache.syntax import Node, parse, words_of
from auditor.servers.apache.table import Entry, Table
from auditor.source import SourceFile
from auditor.values import client_header, literal
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
        self.merged: dict[object, object] = {}

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
        main,
        [host],
        [],
        Modules(["rewrite", "alias", "proxy", "headers", "setenvif", "mime", "env", "dir", "authz_core", "cgid"], True),
        ROOT,
    )
    config.files = [SourceFile(f"{ROOT}/{name}", text) for name, text in MAPS.items()]
    return config


def send(case: Case, ask: Ask, version: tuple[int, ...] = (2, 4, 71)) -> dict[str, Any]:
    """What becomes of the request, in the words of the lab."""
    run, result = go(case, ask, version)
    vary: list[str] = []
    last: Run | None = run
    while last is not None:
        vary, last = [*last.vary, *vary], last.prev
    if vary and result["status"] == 200:
        result["vary"] = vary
    return result


def prepared(case: Case, ask: Ask) -> Run:
    """The request as far as its file and its sections are found."""
    run = make_run(case, ask, (2, 4, 71), Path(Disk(case.name)))
    if not answer_early(run):
        storage.translate(run)
    storage.look(run)
    return run


def answer_early(run: Run) -> bool:
    """The translation by the two modules; what ends the request is raised."""
    walk.location(run)
    return rewrite.translate(run) or alias.translate(run)


def answer(case: Case, ask: Ask) -> bool:
    """The same in a world of which nothing is known."""
    return answer_early(make_run(case, ask, (2, 4, 71), Path(Unknowns())))


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
    run.host, run.port = f"{case.name}.example", 8080
    run.headers_in = Table([Entry(name, literal(value, client_header(name))) for name, value in headers])
    uri, mark, query = target.partition("?")
    run.uri, run.args = unquote_to_bytes(uri).decode("latin-1"), query if mark else None
    return run


def go(case: Case, ask: Ask, version: tuple[int, ...] = (2, 4, 71)) -> tuple[Run, dict[str, Any]]:
    """The whole way: the request that was answered, and the answer."""
    start = make_run(case, ask, version, Path(Disk(case.name)))
    shared = start.shared
    run = phases.handle(shared, shared.request)
    status, headers = shared.final or (run.status, [])
    result: dict[str, Any] = {"status": status}
    locations = [header.value.text for header in headers if header.name.lower() == "location"]
    if locations:
        result["location"] = locations
    cookies = [header.value.text for header in headers if header.name.lower() == "set-cookie"]
    cookies = cookies or [entry.value.text for entry in run.errors_out.all("Set-Cookie")]
    if cookies:
        result["set-cookie"] = cookies
    exchange = shared.exchanges[-1] if shared.exchanges else None
    if exchange is not None and exchange.protocol.startswith("HTTP"):
        return run, {"status": 200, "origin": f"{exchange.method} {exchange.uri} HTTP/1.1"}
    if exchange is not None and status is None:
        script = {header.name: header.value.text for header in exchange.headers}
        program = (script["SCRIPT_FILENAME"] or "").endswith(".cgi")
        return run, {**result, "status": 200, "script": script} if program else {"status": 500}
    # The lab knows a file by what it says of itself, and a script says nothing.
    file = shared.file or run.filename or ""
    if status == 200 and file.startswith(ROOT) and not file.endswith(".cgi"):
        result["file"] = file
    return run, result


# --- predictions and measurements side by side

# What depends on no rule: gateway.py has tests of its own for it.
_OTHERS = (
    *("CONTEXT_", "PATH_TRANSLATED", "SERVER_", "REMOTE_", "HTTP_HOST", "HTTP_CONNECTION", "DOCUMENT_ROOT", "GATEWAY_"),
    *("REQUEST_METHOD", "REQUEST_SCHEME", "SCRIPT_NAME", "PATH=", "HTTP_X_", "HTTP_COOKIE", "HTTP_USER_AGENT"),
)


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
    """What counts of a result: not the variables that others set."""
    result = plain(result, case) if case else dict(result)
    if "script" in result:
        result["script"] = {
            name: value for name, value in result["script"].items() if not f"{name}=".startswith(_OTHERS)
        }
    if "vary" in result:
        result["vary"] = sorted({name for line in result["vary"] for name in re.split(", *", line)})
    return result
