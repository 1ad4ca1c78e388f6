"""The gate auth_jwt."""

from __future__ import annotations

from auditor.servers.nginx.response import OK, challenge
from auditor.servers.nginx.run import Run, decides
from auditor.servers.nginx.variables import evaluate
from auditor.trace import Gate
from auditor.values import EMPTY, Segment, Value, literal
from auditor.world import Answer, Question

# Directives that only the third-party auth_jwt module has (kjdev/nginx-auth-jwt).
_THIRD_PARTY = frozenset(
    (
        "auth_jwt_phase",
        "auth_jwt_validate_exp",
        "auth_jwt_validate_sig",
        "auth_jwt_require_claim",
        "auth_jwt_require_header",
        "auth_jwt_www_authenticate",
    )
)


def auth_jwt(run: Run) -> int | None:
    """auth_jwt, of NGINX Plus or of a third party: whether a token is good is never known here.

    The third party's module takes the realm as it is written, tells the scheme's case apart, sends no challenge to a
    client without a token, and sends one beside every token that came in Authorization (measured with its version
    0.14.2).
    """
    line = run.level.line("auth_jwt")
    if line is None or not line.args:
        return None
    plus = not run.shared.http.memo("third-party auth_jwt", _has_third_party)
    if plus:
        plus = run.ask(Question("module", "auth_jwt"), [Answer("plus", "the module of NGINX Plus")]).name == "plus"
    realm = evaluate(run, line.args[0]) if plus else literal(line.args[0])
    if realm.text == "off":
        run.shared.gates.append(Gate("auth_jwt", "Bearer", None, "off", decides(line)))
        return None
    named = next((word[6:] for word in line.args[1:] if word.startswith("token=")), None)
    if named is not None:
        token = evaluate(run, named)
    else:
        header = run.header("authorization") or ""
        scheme = header[:7].lower() if plus else header[:7]
        token = literal(header[7:]) if scheme == ("bearer " if plus else "Bearer ") else EMPTY
    verdict = "none"
    if token.present != "no":
        answer = run.ask(
            Question("credentials", "auth_jwt", token.text or ""),
            [Answer("accepted", "the token is accepted"), Answer("refused", "the token is refused")],
            line.place,
        )
        verdict = answer.name
    challenges = (plus and verdict != "accepted") or (not plus and named is None and verdict != "none")
    if challenges and run.level.flag("auth_jwt_www_authenticate", True):
        tail = '", error="invalid_token"' if verdict == "refused" else '"'
        challenge(run, Value((Segment("server", 'Bearer realm="'), *realm.segments, Segment("server", tail))), line)
    if verdict == "accepted":
        run.gated.add("auth_jwt")
        run.step(line, "the token is accepted")
        run.shared.gates.append(Gate("auth_jwt", "Bearer", realm.text, "passed", decides(line), source=_key_file(run)))
        return OK
    run.step(line, "no valid token: 401")
    run.shared.gates.append(Gate("auth_jwt", "Bearer", realm.text, "refused", decides(line), source=_key_file(run)))
    return 401


def _key_file(run: Run) -> str | None:
    """The file of the keys, where none are fetched."""
    line = run.level.line("auth_jwt_key_file")
    fetched = run.level.line("auth_jwt_key_request") is not None
    return line.args[0] if line is not None and line.args and not fetched else None


def _has_third_party(http: object) -> bool:
    for top in http.block:  # type: ignore[attr-defined]
        for line in top.walk():
            if line.name in _THIRD_PARTY or (
                line.name == "auth_jwt_key_file" and line.args[1:2] in (["jwks"], ["keyval"])
            ):
                return True
    return False
