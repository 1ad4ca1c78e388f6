"""Access, authentication and authorization: what the predictor says, and what the real httpd answers."""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath

import pytest

from auditor import passwords
from auditor.file_world import FileWorld
from auditor.files import Files
from auditor.http import make_request
from auditor.servers.apache import auth, authn, walk
from auditor.servers.apache.build import build
from auditor.servers.apache.config import Config
from auditor.servers.apache.htaccess import Overrides
from auditor.servers.apache.layout import APACHE
from auditor.servers.apache.load import Loader
from auditor.servers.apache.modules import Modules
from auditor.servers.apache.run import Options, Respond, Run, Shared
from auditor.servers.apache.site import make_site
from auditor.source import read_source
from auditor.values import CLIENT, CONFIG, USER, Value, client_header, literal
from auditor.world import Answer, Known, Path, Question, World, Worlds
from auditor.world import walk as ways
from tests.apache import auth_lab as lab
from tests.reading import test_passwords

CASES = lab.cases()
PAIRS = [(name, request, answer) for name, case in CASES.items() for request, answer in case.asked]
# What only the machine can tell: all that may be is predicted, and the answer must be among it.
OPEN = ("file owner", "forward-dns", "host", "digest, well formed", "md5 provider")
# A file is not asked for by each method, whatever the gates say.
NO_METHOD = {"PUT": "405", "FOO": "405", "get": "501"}


def main_file(folder: FilePath, table: Mapping[str, str]) -> str:
    """The configuration as it is measured, at port 80 and in that folder."""
    lines = [f"LoadModule {name}_module modules/mod_{name}.so" for name in (*lab.MODULES, "unixd")]
    lines += [f"ServerRoot {folder}", "Listen 127.0.0.1:80", "ServerName t.example", f"DocumentRoot {folder}/www"]
    return "\n".join([*lines, lab.configuration(table)]).replace("@HT@", str(folder)).replace("@P1@", "80")


class Predictor:
    """The gates alone, on the way that leads to them; pages are plain files."""

    def __init__(self, folder: FilePath) -> None:
        self.folder = folder
        lab.write_files(folder)
        entry = folder / "httpd.conf"
        entry.write_text(main_file(folder, {name: case.text for name, case in CASES.items()}))
        self.files = Files(read_source(str(entry)), [("/", "/")])
        loader = Loader(self.files, Modules())
        self.config: Config = build(loader, loader.read(read_source(str(entry))))
        self.config.server_root = str(folder)
        self.overrides = Overrides(loader, self.files, ".htaccess")
        assert not loader.errors

    def shared(self, path: Path, asked: lab.Asked, host: str) -> Shared:
        headers = [("Host", host), *asked.headers]
        if asked.authorization is not None:
            headers.append(("Authorization", asked.authorization))
        request = make_request(f"http://{host}{asked.path}", asked.method, headers)
        shared = Shared(self.config, self.overrides, Options(), path, request)
        shared.client_address = asked.source
        return shared

    def run(self, name: str, text: str, path: Path) -> tuple[str, Run]:
        """The answer in short, and the run that was answered."""
        asked = lab.asked(text)
        host = lab.host_of(name)
        shared = self.shared(path, asked, host)
        run = Run(shared, next(server for server in self.config.hosts if server.name == host))
        run.host = host
        run.layers = run.server.base
        for key, value in shared.request.headers:
            run.headers_in.add(key, literal(value, client_header(key)))
        run.uri = asked.path
        run.filename = asked.path if asked.path == "/nowhere" else f"{self.folder}/www{asked.path}"
        walk.directory(run, walk.folders_of(run.filename, False))
        walk.files(run, posixpath.basename(run.filename))
        walk.location(run)
        walk.conditions(run)
        for line in run.layers.all("setenvif"):  # all of them are about one header and anything in it
            found = run.header(line.args[0])
            if found is not None and (line.args[1] == "." or found == line.args[1].strip("^$")):
                run.env.set(line.args[2], literal("1", CLIENT))
        status, fields = 200, []
        try:
            auth.check(run)
        except Respond as end:
            status = end.status
            if end.location is not None:
                fields.append(("Location", _text(end.location)))
        if status == 200 and asked.method in NO_METHOD:
            status = int(NO_METHOD[asked.method])
        if run.user is not None:
            fields.append(("X-User", _text(run.user)))
        if run.auth_type is not None:
            fields.append(("X-Type", run.auth_type))
        fields += [(entry.name, _text(entry.value)) for entry in run.errors_out]
        return lab.short(status, fields), run

    def answers(self, name: str, text: str, world: World | None = None) -> list[tuple[str, Run]]:
        worlds: list[World] = [_Locked(), FileWorld(self.files, "apache")]
        found = ways(lambda path: self.run(name, text, path), Worlds(*([world] if world else []), *worlds))
        assert found is not None
        return [answer for answer, _ in found]


class _Locked:
    """Whoever runs the tests may read every file; the server may not."""

    def ask(self, question: Question) -> Answer | None:
        locked = question.kind == "credentials" and question.subject.endswith("/unreadable")
        return Answer("unreadable", "the workers cannot read it") if locked else None


def _text(value: Value) -> str:
    return "".join("..." if segment.text is None else segment.text for segment in value.segments)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor(tmp_path_factory.mktemp("auth"))


@pytest.mark.parametrize(("name", "request_", "answer"), PAIRS)
def test_predicted(predictor: Predictor, name: str, request_: str, answer: str) -> None:
    predicted = [text for text, _ in predictor.answers(name, request_)]
    if name in OPEN:
        assert answer in predicted
    else:
        assert predicted == [answer]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with lab.running({name: case.text for name, case in CASES.items()}) as found:
        yield found


@pytest.mark.live
@pytest.mark.parametrize("name", CASES)
def test_measured(port: int, name: str) -> None:
    case = CASES[name]
    assert [(request, lab.ask(port, name, request)) for request, _ in case.asked] == list(case.asked)


def gates_of(predictor: Predictor, name: str, text: str) -> list[str]:
    """The gates in short: kind, result, reason, and the line that decides."""
    ((_, run),) = predictor.answers(name, text)
    found = []
    for gate in run.shared.gates:
        place = gate.because[0].place
        assert place is not None
        found.append(" ".join(filter(None, (gate.kind, gate.result, gate.reason, f"<{place.text}>"))))
    return found


GATES = [
    ("valid user", "-", ["auth_basic refused <Require valid-user>"]),
    ("valid user", "alice:secret", ["auth_basic passed <Require valid-user>"]),
    ("no file", "alice:secret", ["auth_basic refused no-file <AuthUserFile @HT@/ht/gone>"]),
    ("unreadable file", "alice:secret", ["auth_basic refused unreadable <AuthUserFile @HT@/ht/unreadable>"]),
    ("no Require", "-", ["auth_basic skipped no-require <AuthType Basic>"]),
    ("no AuthName", "-", ["auth_basic refused misconfigured <AuthType Basic>"]),
    ("no AuthType", "-", ["auth_module refused misconfigured <Require valid-user>"]),
    ("AuthType of nobody", "-", ["auth_module refused no-module <AuthType Bearer>"]),
    ("inner granted", "/in/f.txt -", ["auth_basic off <Require all granted>"]),
    (
        "granted beside valid-user",
        "-",
        ["auth_basic skipped satisfied <Require valid-user>", "access passed <Require all granted>"],
    ),
    (
        "any of ip and valid-user",
        "-",
        ["access passed <Require ip 127.0.0.1>", "auth_basic skipped satisfied <Require valid-user>"],
    ),
    (
        "any of ip and valid-user",
        "@127.0.0.2 -",
        ["access refused <Require ip 127.0.0.1>", "auth_basic refused <Require valid-user>"],
    ),
    ("all of ip and valid-user", "@127.0.0.2 -", ["access refused <Require ip 127.0.0.1>"]),
    ("denied", "-", ["access refused <Require all denied>"]),
    ("env", "+X-Secret:s3 -", ["auth_basic off <Require env letmein>"]),
    ("expr", "-", ["access refused <Require expr \"%{HTTP:Authorization} == 'Bearer ***'\">"]),
    ("Limit GET", "OPTIONS -", []),
    ("granted, none of", "@127.0.0.2 -", ["access refused <Require ip 127.0.0.2>"]),
    ("granted, not an ip", "@127.0.0.2 -", ["access refused <Require not ip 127.0.0.2>"]),
    ("Satisfy Any alone", "-", ["access passed <Satisfy Any>", "auth_basic skipped satisfied <Require valid-user>"]),
    (
        "Satisfy Any, allowed",
        "-",
        ["access passed <Allow from all>", "auth_basic skipped satisfied <Require valid-user>"],
    ),
    ("Order deny,allow", "-", ["access refused <Deny from all>"]),
    ("digest", "-", ["auth_digest refused <Require valid-user>"]),
    ("user bob", "alice:secret", ["auth_basic refused <Require user bob>"]),
]


@pytest.mark.parametrize(("name", "request_", "gates"), GATES)
def test_gates(predictor: Predictor, name: str, request_: str, gates: list[str]) -> None:
    assert gates_of(predictor, name, request_) == [gate.replace("@HT@", str(predictor.folder)) for gate in gates]


def test_what_needs_credentials(predictor: Predictor) -> None:
    ((_, run),) = predictor.answers("expr", "-")
    assert [(gate.needs, gate.scheme) for gate in run.shared.gates] == [("credentials", None)]
    ((_, run),) = predictor.answers("denied", "-")
    assert [gate.needs for gate in run.shared.gates] == ["address"]


class _Nobody:
    """A world in which the gate lets in whoever it is asked about."""

    def ask(self, question: Question) -> Answer | None:
        return Answer("accepted", "the credentials are accepted", True) if question.kind == "credentials" else None


@pytest.mark.parametrize("name", ["user bob", "group", "file owner", "valid user", "no file"])
def test_who_is_supposed_to_be_let_in_is_whom_the_lines_ask_for(predictor: Predictor, name: str) -> None:
    assert [text for text, _ in predictor.answers(name, "audit:probe", _Nobody())] == ["200 audit (Basic)"]


def test_where_the_user_comes_from(predictor: Predictor) -> None:
    ((_, run),) = predictor.answers("valid user", "alice:secret")
    assert run.user is not None
    assert run.user.sources == (USER,)
    ((_, run),) = predictor.answers("valid user", "alice:wrong")
    assert run.user is not None
    assert run.user.sources == (client_header("Authorization"),)


def test_an_unknown_address_is_asked_for(predictor: Predictor) -> None:
    """One way for each network that the lines tell apart, and one for the rest."""

    def run(path: Path) -> str:
        _, before = predictor.run("ip networks", "-", path)
        again = Run(predictor.shared(path, lab.Asked(), before.host), before.server)
        again.shared.client_address = None
        again.layers = before.layers
        try:
            auth.check(again)
        except Respond as end:
            return str(end.status)
        return "200"

    found = ways(run, FileWorld(predictor.files, "apache"))
    assert found is not None
    assert {(answer, tuple(asked.answer.name for asked in when)) for answer, when in found} == {
        ("403", ("elsewhere",)),
        ("200", ("10.0.0.0/8",)),
        ("200", ("127.0.0.0/30",)),
        ("200", ("::1/128",)),
    }


def test_fake_credentials(predictor: Predictor) -> None:
    """APA-352: the upstream gets them in the place of the client's, whoever that is."""
    for text in ("-", "=Bearer x"):
        ((_, run),) = predictor.answers("fake", text)
        authn.fake(run)
        assert [_text(entry.value) for entry in run.headers_in.all("Authorization")] == ["Basic Ym9iOmh1bnRlcjI="]
        assert {entry.value.sources for entry in run.headers_in.all("Authorization")} == {(CONFIG,)}


SHA = test_passwords.GOOD["SHA"][0]
# Passwords, and files in which the hash is one that httpd knows: text, user, password.
USER_FILES = {
    **{f"hash {name}": (f"alice:{stored}\n", "alice", word) for name, (stored, word) in test_passwords.GOOD.items()},
    **{f"wrong {name}": (f"alice:{stored}\n", "alice", "x") for name, (stored, _) in test_passwords.GOOD.items()},
    **{f"bad {name}": (f"alice:{stored}\n", "alice", "secret") for name, stored in test_passwords.BAD.items()},
    **{
        f"file {name}": (text.replace("{PLAIN}secret", SHA), user, password)
        for name, (text, user, password, _) in test_passwords.FILES.items()
    },
}
ADMITTED = {
    *("hash apr1", "hash apr1, short salt", "hash apr1, long password", "hash apr1, empty password", "hash md5"),
    *("hash sha256", "hash sha512", "hash sha512, rounds", "hash bcrypt 2a", "hash bcrypt 2b", "hash bcrypt 2y"),
    *("hash des", "hash des, only eight letters count", "hash SHA", "bad apr1 with a blank behind"),
    *("file found", "file no line feed at the end", "file carriage returns", "file comments", "file blank in front"),
    *("file user with blanks", "file long comment before"),
}


@pytest.mark.skipif(passwords._load_crypt() is None, reason="no libcrypt.so.1 on this machine")
@pytest.mark.parametrize("name", USER_FILES)
def test_user_file(name: str) -> None:
    text, user, password = USER_FILES[name]
    assert passwords.verify(text, user, password, passwords.APACHE) is (name in ADMITTED)


@pytest.mark.live
def test_user_files_measured() -> None:
    names = list(USER_FILES)
    files = {f"ht/{at}": USER_FILES[name][0] for at, name in enumerate(names)}
    text = f"<Location />\n{lab.BASIC}Require valid-user\n</Location>"
    with lab.running({f"n{at}": text.replace("users", str(at)) for at in range(len(names))}, files) as port:
        found = {name for at, name in enumerate(names) if _admits(port, at, *USER_FILES[name][1:])}
    assert found == ADMITTED


def _admits(port: int, at: int, user: str, password: str) -> bool:
    encoded = base64.b64encode(f"{user}:{password}".encode("latin-1")).decode()
    return lab.ask(port, f"n{at}", f"=Basic {encoded}").startswith("200 ")


# What a folder's index, and an error page, do with the gates: configuration, request, what httpd 2.4.71 answered.
WAYS = {
    "index refused": (
        f"DirectoryIndex f.txt\n<Files f.txt>\n{lab.BASIC}Require valid-user\n</Files>",
        {
            "/in/ -": '401 Basic realm="R"',
            "/in/ alice:secret": "200",
            "OPTIONS /in -": "301 http://index-refused.example/in/",
        },
    ),
    "index looked up by GET": (
        f"DirectoryIndex f.txt\n<Location />\n{lab.BASIC}<Limit GET>\nRequire valid-user\n</Limit>\n</Location>",
        {"OPTIONS /in/ -": '401 Basic realm="R"'},
    ),
    "path of a DirectoryMatch": (
        '<DirectoryMatch "/in/">\nRequire all denied\n</DirectoryMatch>',
        {"/in -": "301 http://path-of-a-directorymatch.example/in/", "/in/f.txt -": "403", "/f.txt -": "200"},
    ),
}


def whole_way(folder: FilePath, name: str, text: str) -> list[str]:
    """What the predictor says of the whole way of the request."""
    source = read_source(str(folder / "httpd.conf"))
    site = make_site(source, Files(source, [("/", "/")], layout=APACHE), "main")
    asked, host = lab.asked(text), lab.host_of(name)
    headers = [("Host", host)]
    if asked.authorization is not None:
        headers.append(("Authorization", asked.authorization))
    address = Known({"client-address": Answer(asked.source, "", asked.source)})
    outcomes = site.trace(make_request(f"http://{host}{asked.path}", asked.method, headers, "1.0"), address)
    return [
        lab.short(one.status or 0, [(header.name, _text(header.value)) for header in one.response_headers])
        for one in outcomes
    ]


@pytest.mark.parametrize("name", WAYS)
def test_whole_way(tmp_path: FilePath, name: str) -> None:
    lab.write_files(tmp_path)
    (tmp_path / "httpd.conf").write_text(main_file(tmp_path, {name: WAYS[name][0]}))
    _agree({request: whole_way(tmp_path, name, request) for request in WAYS[name][1]}, name)


@pytest.mark.live
@pytest.mark.parametrize("name", WAYS)
def test_whole_way_measured(name: str) -> None:
    with lab.running({name: WAYS[name][0]}) as port:
        _agree({request: [lab.ask(port, name, request)] for request in WAYS[name][1]}, name)


def _agree(found: dict[str, list[str]], name: str) -> None:
    assert {request: [_without_type(one) for one in answers] for request, answers in found.items()} == {
        request: [answer] for request, answer in WAYS[name][1].items()
    }


def _without_type(answer: str) -> str:
    return answer.replace(" (Basic)", "")
