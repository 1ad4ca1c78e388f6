"""Authentication: who the client is (mod_auth_basic, mod_auth_digest, mod_auth_form), and the challenge for those who
do not say so."""

from __future__ import annotations

from typing import NoReturn

from auditor.servers.apache.gates import KINDS, gate_line, may_be_completed, tell, tell_auth
from auditor.servers.apache.providers import (
    ACCEPTED,
    BROKEN,
    DENIED,
    UNCHOSEN,
    UNNAMED,
    basic,
    digest,
    evaluated,
    providers_of,
    realm_of,
    type_of,
)
from auditor.servers.apache.run import Respond, Run, Unpredictable, decides
from auditor.trace import Gate
from auditor.values import CONFIG, USER, Segment, Value, client_header, join, literal, unknown
from auditor.world import Answer, Question

# What other projects' modules judge, by AuthType in lower case.
_OTHERS = {
    "openid-connect": "auth_openidc",
    "oauth20": "auth_openidc",
    "auth-openidc": "auth_openidc",
    "kerberos": "auth_kerb",
    "gssapi": "auth_gssapi",
    "negotiate": "auth_gssapi",
    "shibboleth": "shib",
    "mellon": "auth_mellon",
    "cas": "auth_cas",
    "bearer": "auth_bearer",
    "jwt": "authnz_jwt",
    "sspi": "authnz_sspi",
}

# Providers that make variables of what their directory has about a user (mod_authnz_ldap, mod_authn_dbd).
_TELLING = ("ldap", "dbd")
_OF_DIRECTORIES = ("AUTHENTICATE_", "AUTHORIZE_")
_BROKEN = dict(
    zip(BROKEN, ("there is no user file", "the user file cannot be read", *["no user file is named"] * 2), strict=True)
)


def authenticate(run: Run) -> None:
    """ap_run_check_user_id(): sets run.user, or raises Respond."""
    name = type_of(run)
    low = name.lower() if name is not None else ""
    if low in KINDS and run.config.modules.has(KINDS[low]):
        if realm_of(run) is None:
            _broken(run, "no AuthName: 500")
        if low != "digest":
            run.auth_type = name
        handler = {"basic": _basic, "digest": _digest, "form": _form}[low]
        handler(run)
        return
    if low in _OTHERS and (not run.config.modules.known or run.config.modules.has(_OTHERS[low])):
        _other(run, low)
        return
    if name is None:
        _broken(run, "a user is required, and no AuthType says how to tell who it is: 500")
    _broken(run, f"AuthType {name} belongs to no module: 500", "no-module")


def _broken(run: Run, text: str, reason: str = "misconfigured") -> NoReturn:
    line = run.layers.last("authtype") or gate_line(run)
    run.step(line, text)
    if reason == "misconfigured" and may_be_completed(run):
        reason = ""
    if type_of(run) is None:
        tell(run, Gate("auth_module", None, None, "refused", decides(line), reason))
    else:
        tell_auth(run, "refused", line, reason)
    raise Respond(500, line)


def _basic(run: Run) -> None:
    """authenticate_basic_user()."""
    from auditor.passwords import APACHE, decode_basic

    value = run.headers_in.get("Authorization")
    if value is None:
        _unauthorized(run, "no credentials: 401")
    given = decode_basic(value.text, APACHE) if value.text is not None else None
    if value.text is not None and given is None:
        _unauthorized(run, "no Basic credentials: 401")
    source = next((one for one in value.sources if one != CONFIG), client_header("Authorization"))
    run.user = literal(given[0], source) if given is not None else unknown(source)
    outcome = basic(run, value.text or "", given)
    if outcome == ACCEPTED:
        run.user = literal(given[0], USER) if given is not None else unknown(USER)
        if any(one.name in _TELLING for one in providers_of(run)):
            run.told = _OF_DIRECTORIES
        return
    if outcome != DENIED and not run.layers.on("authbasicauthoritative", True):
        _broken(run, "mod_auth_basic leaves it to others, and there are none: 500")
    if outcome in BROKEN:
        line = run.layers.last("authuserfile") or gate_line(run)
        run.step(line, f"{_BROKEN[outcome]}: 500")
        # A section of a main file that is not at hand may name the provider.
        elsewhere = outcome == UNCHOSEN and not run.shared.overrides.whole
        told = outcome not in (UNNAMED, UNCHOSEN) or not (elsewhere or may_be_completed(run))
        tell_auth(run, "refused", line, outcome if told else "")
        raise Respond(500, line)
    _unauthorized(run, "the credentials are refused: 401")


def _digest(run: Run) -> None:
    """authenticate_digest_user()."""
    value = run.headers_in.get("Authorization")
    if value is None:
        _unauthorized(run, "no credentials: 401")
    user = digest(run, value)
    if user is None:
        _unauthorized(run, "the credentials are refused: 401")
    run.user = user
    run.auth_type = type_of(run)


def _form(run: Run) -> None:
    """authenticate_form_authn(): the user of the session's cookie, or of a form that was sent."""
    cookie = run.headers_in.get("Cookie")
    if cookie is not None or run.method == "POST":
        answer = _ask(run, "form", (cookie.text or "") if cookie is not None else "")
        if answer.name == "accepted":
            run.notes["supposed"] = answer.value is True
            run.user = unknown(USER)
            return
    line = run.layers.last("authformloginrequiredlocation")
    if line is not None and line.args:
        run.step(line, "nobody is logged in: 302")
        tell_auth(run, "refused", line)
        raise Respond(302, line, evaluated(run, line.args[0], line))
    _unauthorized(run, "nobody is logged in: 401")


def _other(run: Run, name: str) -> None:
    """A module of another project: whether it lets the client in is asked, what it answers otherwise is not known."""
    answer = _ask(run, name, run.header("Authorization") or "")
    if answer.name != "accepted":
        line = gate_line(run)
        raise Unpredictable(f"what AuthType {name} answers to those whom it does not know", line.place)
    run.notes["supposed"] = answer.value is True
    run.user = unknown(USER)
    run.auth_type = type_of(run)
    run.told = ("",)  # under names of its own, which its lines choose


def _ask(run: Run, subject: str, detail: str) -> Answer:
    return run.ask(
        Question("credentials", subject, detail),
        [Answer("accepted", "the credentials are accepted"), Answer("refused", "the credentials are refused")],
        gate_line(run).place,
    )


def _unauthorized(run: Run, text: str) -> NoReturn:
    line = gate_line(run)
    run.step(line, text)
    challenge(run)
    tell_auth(run, "refused", line)
    raise Respond(401, line)


def challenge(run: Run) -> None:
    """ap_note_auth_failure(): form authentication has no challenge."""
    name = (type_of(run) or "").lower()
    realm = realm_of(run)
    line = run.layers.last("authname")
    if realm is None or line is None or name not in ("basic", "digest"):
        return
    quoted = tuple(Segment(one.source, _escaped(one.text)) for one in realm.segments)
    if name == "basic":
        value = Value((Segment("server", 'Basic realm="'), *quoted, Segment("server", '"')))
    else:
        domain = " ".join(word for one in run.layers.all("authdigestdomain") for word in one.args)
        rest = f', domain="{domain}"' if domain else ""
        tail = f'", algorithm=MD5{rest}, qop="auth"'
        nonce = (Segment("server", '", nonce="'), Segment("server", None), Segment("server", tail))
        value = Value((Segment("server", 'Digest realm="'), *quoted, *nonce))
    run.errors_out.set("WWW-Authenticate", value, decides(line))


def _escaped(text: str | None) -> str | None:
    """ap_escape_quotes(): a quote that no backslash precedes gets one."""
    if text is None or '"' not in text:
        return text
    out, at = "", 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            out += text[at : at + 2]
            at += 2
            continue
        out += '\\"' if text[at] == '"' else text[at]
        at += 1
    return out


def fake(run: Run) -> None:
    """The fixup of mod_auth_basic: AuthBasicFake puts credentials in the place of the client's."""
    line = run.layers.last("authbasicfake")
    if line is None or not line.args or (len(line.args) == 1 and line.args[0].lower() == "off"):
        return
    user = evaluated(run, line.args[0], line)
    password = evaluated(run, line.args[1] if len(line.args) > 1 else "password", line)
    if user.text == "" or password.text == "":
        run.headers_in.unset("Authorization", decides(line))
        return
    pair = join((user, password), ":")
    if pair.text is not None:
        import binascii

        encoded = binascii.b2a_base64(pair.text.encode("latin-1"), newline=False).decode("ascii")
        source = next((source for source in user.sources if source != CONFIG), CONFIG)
        value = Value((Segment(CONFIG, "Basic "), Segment(source, encoded)))
    else:
        value = Value((Segment(CONFIG, "Basic "), *(Segment(segment.source, None) for segment in pair.segments)))
    run.step(line, "the client's Authorization is replaced")
    run.headers_in.set("Authorization", value, decides(line))
