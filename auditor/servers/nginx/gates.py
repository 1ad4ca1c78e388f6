"""The access phase: allow and deny, auth_basic, auth_request, in that order (NGX-240, NGX-311).

Subrequests skip the whole phase (NGX-236, NGX-312); an internal redirect passes it again (NGX-407, NGX-603).
"""

from __future__ import annotations

from collections.abc import Callable

from auditor.http import Response
from auditor.servers.nginx.config import Level
from auditor.servers.nginx.jwt import auth_jwt
from auditor.servers.nginx.response import OK, challenge, send
from auditor.servers.nginx.run import OutHeader, Run, Unpredictable, by_default, decides
from auditor.servers.nginx.script import program
from auditor.servers.nginx.syntax import Directive
from auditor.servers.nginx.variables import assign, evaluate
from auditor.trace import Because, Gate
from auditor.values import Segment, Value, answer_header, literal, unknown
from auditor.world import IN_LISTS, Answer, Question

Verdict = int | None  # None: no opinion; OK: lets in; else the status


def access_phase(run: Run) -> Verdict:
    """Run the gates; None where the request goes on, else the status to finalize with."""
    if not run.is_main:
        _skip(run, "subrequest")
        return None
    any_is_enough = _satisfy_any(run.level)
    for gate in _GATES:
        verdict = gate(run)
        if verdict is None:
            continue
        if verdict == OK:
            if not any_is_enough:
                continue
            run.access_code = None
            _forget_challenges(run)
            _skip(run, "satisfied", after=gate)
            return None
        if any_is_enough and verdict in (401, 403):
            if run.access_code != 401:
                run.access_code = verdict
            continue
        # An error ends the phase here; what a gate has said before it still counts behind the error page
        # (ngx_http_core_post_access_phase).
        return verdict
    refused, run.access_code = run.access_code, None
    return refused


def _satisfy_any(level: Level) -> bool:
    line = level.line("satisfy")
    return line is not None and line.args[:1] == ["any"]


def _forget_challenges(run: Run) -> None:
    """What an earlier gate said counts no more; before 1.23.0 only the last challenge is forgotten."""
    forgotten = run.challenges if run.newer(1, 23) else run.challenges[-1:]
    for header in forgotten:
        if header in run.out:
            run.out.remove(header)
    run.challenges = []


def _skip(run: Run, reason: str, after: Callable[[Run], Verdict] | None = None) -> None:
    """Tell of the gates that stand here and are not asked."""
    start = _GATES.index(after) + 1 if after is not None else 0
    for gate in _GATES[start:]:
        if gate is _access and run.level.where(("allow", "deny")) is not None:
            lines = _address_lines(run.level)
            _tell(run, Gate("access", None, None, "skipped", decides(lines[0]), reason, "address"))
        elif gate is _auth_basic and not _basic_off(run.level):
            line = run.level.line("auth_basic")
            if line is not None and run.level.line("auth_basic_user_file") is not None:
                _tell(run, Gate("auth_basic", "Basic", line.args[0], "skipped", decides(line), reason))
        elif gate is _auth_request:
            line = run.level.line("auth_request")
            if line is not None and line.args[:1] != ["off"]:
                _tell(run, Gate("auth_request", None, None, "skipped", decides(line), reason, source=line.args[0]))


def _tell(run: Run, gate: Gate) -> None:
    if run.is_main or gate.result != "skipped":
        run.shared.gates.append(gate)


# --- allow and deny


def _address_lines(level: Level) -> list[Directive]:
    home = level.where(("allow", "deny"))
    if home is None:
        return []
    return [line for line in home.block if line.name in ("allow", "deny") and line.args]


def _access(run: Run) -> Verdict:
    lines = _address_lines(run.level)
    if not lines:
        return None
    for line in sorted(lines, key=lambda line: _family(line.args[0])):
        if _matches(run, line, lines):
            refused = line.name == "deny"
            result = "refused" if refused else "passed"
            run.step(line, "the address is refused: 403" if refused else "the address is allowed")
            _tell(run, Gate("access", None, None, result, decides(line), needs="address"))
            return 403 if refused else OK
    return None


def _family(network: str) -> int:
    """IPv4 lines are asked before IPv6 lines, those before `unix:`; `all` is in each list."""
    if network == "unix:":
        return 2
    return 1 if ":" in network else 0


def _matches(run: Run, line: Directive, lines: list[Directive]) -> bool:
    network = line.args[0]
    if network == "all":
        return True
    if network == "unix:":
        return False
    address = _known_address(run, lines)
    import ipaddress  # here: few configurations have address lists

    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError as error:
        raise Unpredictable(f"{line.name} {network}: {error}", line.place) from error


def _known_address(run: Run, lines: list[Directive]) -> str:
    """The client's address; where it is not known, one of each kind that the lists tell apart."""
    if run.shared.client_address is not None:
        return run.shared.client_address
    networks = [line.args[0] for line in lines if line.args[0] not in ("all", "unix:")]
    answers = [Answer("elsewhere", "the client's address is in none of the lists", _outside(networks))]
    for network in dict.fromkeys(networks):
        answers.append(Answer(network, f"the client's address is in {network}", _inside(network)))
    # Not the question that real_address has asked: that one is settled as "not known" by now.
    answer = run.ask(Question("client-address", detail=IN_LISTS), answers, lines[0].place)
    return str(answer.value)


def _inside(network: str) -> str:
    import ipaddress

    try:
        parsed = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return "192.0.2.1"
    return str(parsed[1] if parsed.num_addresses > 1 else parsed[0])


def _outside(networks: list[str]) -> str:
    import ipaddress

    parsed = []
    for network in networks:
        try:
            parsed.append(ipaddress.ip_network(network, strict=False))
        except ValueError:
            continue
    for candidate in ("203.0.113.7", "198.51.100.7", "192.0.2.7", "8.8.4.4", "2001:db8::7"):
        address = ipaddress.ip_address(candidate)
        if not any(address in network for network in parsed):
            return candidate
    return "203.0.113.7"


# --- auth_basic


def _basic_off(level: Level) -> bool:
    line = level.line("auth_basic")
    return line is None or line.args[:1] == ["off"]


def _auth_basic(run: Run) -> Verdict:
    line = run.level.line("auth_basic")
    if line is None or not line.args:
        return None
    file_line = run.level.line("auth_basic_user_file")
    if file_line is None or not file_line.args:
        if line.args[0] == "off":
            _tell(run, Gate("auth_basic", "Basic", None, "off", decides(line)))
        else:
            run.step(line, "no auth_basic_user_file: everybody is let in")
            _tell(run, Gate("auth_basic", "Basic", line.args[0], "skipped", decides(line), "no-user-file"))
        return None
    realm = evaluate(run, line.args[0])
    if realm.text is None:
        known = run.ask(
            Question("variable", line.args[0], "auth_basic"),
            [
                Answer("on", f"auth_basic {line.args[0]} is a realm", True),
                Answer("off", f"auth_basic {line.args[0]} is off", False),
            ],
            line.place,
        )
        if not known.value:
            realm = literal("off")
    if realm.text == "off":
        _tell(run, Gate("auth_basic", "Basic", None, "off", decides(line)))
        if "$" in line.args[0]:
            run.step(line, "the realm is off: everybody is let in")
        return None
    header = run.header("authorization")
    from auditor.passwords import decode_basic

    credentials = decode_basic(header) if header is not None else None
    if credentials is None:
        run.step(line, "no Basic credentials: 401")
        return _refuse_basic(run, line, realm)
    verdict = _check(run, file_line, header or "")
    if verdict == "accepted":
        run.gated.add("auth_basic")
        run.variables.pop("remote_user", None)
        run.step(line, "the credentials are accepted")
        _tell(run, Gate("auth_basic", "Basic", realm.text, "passed", decides(line), source=file_line.args[0]))
        return OK
    if verdict == "no-file":
        run.step(file_line, "the user file does not exist: 403")
        _tell(run, Gate("auth_basic", "Basic", realm.text, "refused", decides(file_line), "no-file"))
        return 403
    if verdict == "unreadable":
        run.step(file_line, "the user file cannot be read: 500")
        _tell(run, Gate("auth_basic", "Basic", realm.text, "refused", decides(file_line), "unreadable"))
        return 500
    run.step(line, "the credentials are refused: 401")
    return _refuse_basic(run, line, realm)


def _check(run: Run, line: Directive, header: str) -> str:
    path = evaluate(run, line.args[0])
    subject = path.text
    if subject is None:
        subject = line.args[0]
    elif not subject.startswith("/"):
        subject = f"{run.shared.options.conf_dir.rstrip('/')}/{subject}"
    answer = run.ask(
        Question("credentials", subject, header),
        [Answer("accepted", "the credentials are accepted"), Answer("refused", "the credentials are refused")],
        line.place,
    )
    return answer.name


def _refuse_basic(run: Run, line: Directive, realm: Value) -> int:
    challenge(run, Value((Segment("server", 'Basic realm="'), *realm.segments, Segment("server", '"'))), line)
    _tell(run, Gate("auth_basic", "Basic", realm.text, "refused", decides(line)))
    return 401


# --- auth_request


def _auth_request(run: Run) -> Verdict:
    line = run.level.line("auth_request")
    if line is None or not line.args or run.asked:
        return None
    if line.args[0] == "off":
        _tell(run, Gate("auth_request", None, None, "off", decides(line)))
        return None
    from auditor.servers.nginx import phases

    run.asked = True
    run.step(line, f"the auth subrequest to {line.args[0]} is made")
    sub = phases.subrequest(run, line.args[0], "auth")
    status = sub.final_status
    if status is None:
        status = _unknown_status(run, line, sub)
    for setting in run.level.lines("auth_request_set"):
        if len(setting.args) == 2:
            value = evaluate(sub, setting.args[1])
            assign(run, setting.args[0].lstrip("$"), value)
    because = decides(line)
    if 200 <= status < 300:
        run.gated.add("auth_request")
        run.step(line, f"the auth subrequest answered {status}: let in")
        _tell(run, Gate("auth_request", None, None, "passed", because, source=line.args[0]))
        return OK
    if status == 401:
        _copy_challenges(run, sub, because)
        run.step(line, "the auth subrequest answered 401: refused")
        _tell(run, Gate("auth_request", _scheme(run), None, "refused", because, source=line.args[0]))
        return 401
    run.step(line, f"the auth subrequest answered {status}: " + ("refused" if status == 403 else "an error, 500"))
    _tell(run, Gate("auth_request", None, None, "refused", because, source=line.args[0]))
    return 403 if status == 403 else 500


def _unknown_status(run: Run, line: Directive, sub: Run) -> int:
    """The upstream of the auth subrequest is not known to answer this or that."""
    answer = run.ask(
        Question("exchange", line.args[0], "auth verdict"),
        [
            Answer("accepted", "the auth subrequest is answered 2xx", Response(200)),
            Answer("refused", "the auth subrequest is answered 401", Response(401)),
            Answer("forbidden", "the auth subrequest is answered 403", Response(403)),
        ],
        line.place,
    )
    status = answer.value.status
    return status if isinstance(status, int) else 500


def _copy_challenges(run: Run, sub: Run, because: tuple[Because, ...]) -> None:
    values = [header.value for header in sub.challenges]
    answer = sub.answer
    if not values and answer is not None:
        if answer.headers is None:
            values = [unknown(answer_header("auth", "WWW-Authenticate"))]
        else:
            source = answer_header("auth", "WWW-Authenticate")
            values = [
                Value((Segment(source, text),)) for name, text in answer.headers if name.lower() == "www-authenticate"
            ]
    if not run.newer(1, 23):
        values = values[:1]
    for value in values:
        header = OutHeader("WWW-Authenticate", value, because, True)
        run.out.append(header)
        run.challenges.append(header)


def _scheme(run: Run) -> str | None:
    text = run.challenges[-1].value.text if run.challenges else None
    return text.split(" ", 1)[0] if text else None


# --- gates of modules


def _code(run: Run) -> Verdict:
    """access_by_lua and the like."""
    for name in ("access_by_lua_block", "access_by_lua_file", "access_by_lua", "js_access"):
        line = run.level.line(name)
        if line is not None:
            program(run, line)
    return None


_GATES: tuple[Callable[[Run], Verdict], ...] = (auth_jwt, _access, _auth_basic, _auth_request, _code)

__all__ = ["access_phase", "by_default", "send"]
