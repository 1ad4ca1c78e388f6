"""Who says whether a password is right: AuthBasicProvider and its like (mod_authn_file, mod_authn_anon, aliases, and
those that only the deployed machine can ask)."""

import re
from typing import NamedTuple

from auditor.servers.apache.config import Directive, Section
from auditor.servers.apache.run import Run, Unpredictable
from auditor.values import USER, Value, literal, unknown
from auditor.world import Answer, Question

ACCEPTED = "accepted"
DENIED = "denied"  # AUTH_DENIED: the user is known, the password is another one
NOT_FOUND = "not found"  # AUTH_USER_NOT_FOUND: the next one is asked
UNNAMED = "unnamed-file"
UNCHOSEN = "unnamed-provider"  # lines are about another provider, and it is the user file that is asked
BROKEN = ("no-file", "unreadable", UNNAMED, UNCHOSEN)  # AUTH_GENERAL_ERROR, and why
_OTHERS = ("authldapurl", "authdbduserpwquery", "authdbmuserfile")

_PROVIDERS = {"basic": "authbasicprovider", "digest": "authdigestprovider", "form": "authformprovider"}


class Provider(NamedTuple):
    """A provider's name, the user file it reads (resolved; None for others), and the line that names it."""

    name: str
    source: str | None
    line: Directive | None


def realm_of(run: Run) -> Value | None:
    """ap_auth_name(), before its quotes are escaped; None without AuthName."""
    line = run.layers.last("authname")
    if line is None or not line.args:
        return None
    if "%{" not in line.args[0]:
        return literal(line.args[0])
    from auditor.servers.apache import expr

    return expr.string(run, expr.compile_string(line.args[0]), line.place)


def evaluated(run: Run, text: str, line: Directive) -> Value:
    """An argument that may be an expression (ap_expr_str_exec)."""
    if "%{" not in text:
        return literal(text)
    from auditor.servers.apache import expr

    return expr.string(run, expr.compile_string(text), line.place)


def type_of(run: Run) -> str | None:
    """ap_auth_type(): None for `AuthType None`."""
    line = run.layers.last("authtype")
    if line is None or not line.args:
        return None
    name = evaluated(run, line.args[0], line).text
    if name is None:
        raise Unpredictable(f"AuthType {line.args[0]} is not known", line.place)
    return None if name.lower() == "none" else name


def providers_of(run: Run) -> list[Provider]:
    """The providers that are asked, in order; the user file's where none is named."""
    kind = run.layers.last("authtype")
    key = _PROVIDERS.get(kind.args[0].lower() if kind is not None and kind.args else "basic", "authbasicprovider")
    for section in reversed(run.layers.sections):
        lines = section.all(key)
        if lines:
            return [_provider(run, word, line) for line in lines for word in line.args]
    return [_provider(run, "file", None)]


def _provider(run: Run, name: str, line: Directive | None) -> Provider:
    alias = next((one for one in run.layers.all("<authnprovideralias") if one.args[1:2] == (name,)), None)
    own = {one.key: one for one in alias.children} if alias is not None else {}
    base = alias.args[0].lower() if alias is not None else name.lower()
    if base != "file":
        return Provider(base, None, line)
    file = own.get("authuserfile") or run.layers.last("authuserfile")
    return Provider("file", run.config.path(file.args[0]) if file is not None and file.args else None, file)


def basic(run: Run, header: str, given: tuple[str, str] | None) -> str:
    """What the providers say of the credentials. `given` are user and password, None where these are not known."""
    providers = providers_of(run)
    authoritative = run.layers.on("authbasicauthoritative", True)
    outcome = BROKEN[0]
    for at, provider in enumerate(providers):
        if provider.name == "file":
            hashed = run.layers.last("authbasicusedigestalgorithm")
            prefix = "digest:" if hashed is not None and hashed.args[:1] and hashed.args[0].lower() == "md5" else ""
            tells = at + 1 < len(providers) or not authoritative
            outcome = _file(run, provider, header, prefix, tells)
        elif provider.name == "anon" and given is not None:
            outcome = _anonymous(run, *given)
        else:
            outcome = _ask(run, provider.name, header, provider.line, at + 1 < len(providers) or not authoritative)
        if outcome != NOT_FOUND:
            break
    return outcome


def _file(run: Run, provider: Provider, header: str, prefix: str, tells: bool) -> str:
    """authn_file's check_password()."""
    if not run.config.modules.has("authn_file"):
        return BROKEN[0]
    if provider.source is None:
        return UNCHOSEN if any(run.layers.last(key) is not None for key in _OTHERS) else UNNAMED
    return _ask(run, prefix + provider.source, header, provider.line, tells)


def _ask(run: Run, subject: str, header: str, line: Directive | None, tells: bool) -> str:
    """`tells`: whether it makes a difference that the user is not known."""
    answers = [Answer("accepted", "the credentials are accepted"), Answer("refused", "the credentials are refused")]
    if tells:
        answers.append(Answer("unknown-user", "the user is not known"))
    answer = run.ask(Question("credentials", subject, header), answers, line.place if line is not None else None)
    if answer.name == "accepted":
        # An answer that is taken for granted, for whatever user: the gate's other questions about him are, too.
        run.notes["supposed"] = answer.value is True
        return ACCEPTED
    if answer.name in BROKEN:
        return answer.name
    return NOT_FOUND if answer.name == "unknown-user" else DENIED


def _anonymous(run: Run, user: str, password: str) -> str:
    """authn_anon's check_anonymous(); this module merges nothing."""
    section = next((one for one in reversed(run.layers.sections) if _is_anonymous(one)), None)
    if section is None:
        return NOT_FOUND
    users = [word.lower() for line in section.all("anonymous") for word in line.args]
    if not users:
        return NOT_FOUND
    known = _on(section, "anonymous_nouserid", False) if not user else "*" in users or user.lower() in users
    if not known:
        return NOT_FOUND
    if not password and _on(section, "anonymous_mustgiveemail", True):
        return DENIED
    if _on(section, "anonymous_verifyemail", False) and not ("@" in password and "." in password):
        return DENIED
    return ACCEPTED


def _is_anonymous(section: Section) -> bool:
    return any(line.key.startswith("anonymous") for line in section.directives)


def _on(section: Section, key: str, default: bool) -> bool:
    line = section.last(key)
    return default if line is None or not line.args else line.args[0].lower() == "on"


_FIELDS = ("username", "realm", "nonce", "uri", "response")


def digest(run: Run, value: Value) -> Value | None:
    """The user of Digest credentials (get_digest_rec), where they are good; None where they are not. Whether they are
    only the server can tell, which has made the nonce."""
    fields: dict[str, str] = {}
    if value.text is not None:
        scheme, _, rest = value.text.partition(" ")
        if scheme.lower() != "digest":
            return None
        for name, quoted, plain in re.findall(r'([A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]*))', rest):
            fields[name.lower()] = quoted or plain
        if any(name not in fields for name in _FIELDS) or ("qop" in fields and not {"nc", "cnonce"} <= fields.keys()):
            return None
    provider = providers_of(run)[0]
    subject = f"digest:{provider.source}" if provider.source is not None else provider.name
    state = run.shared.path.known(Question("file", provider.source)) if provider.source is not None else None
    if state is not None and state.name != "file":
        return None
    if _ask(run, subject, value.text or "", provider.line, False) != ACCEPTED:
        return None
    name = fields.get("username")
    return literal(name, USER) if name is not None else unknown(USER)
