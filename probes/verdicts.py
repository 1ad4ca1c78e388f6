"""What the observations mean: statements, each with a severity. An error or a warning is a defect that was seen, not
one that may be there; everything else is an info. Names are those of the rules where a rule says the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from auditor.findings import ERROR, INFO, WARNING
from auditor.http import make_request
from auditor.settings import DEFAULT, Settings
from auditor.trace import ADDED, CHANGED, FORWARDED, REPLACED, STRIPPED
from probes.compare import CGI_LIKE
from probes.fates import PARAMETERS, arrivals
from probes.questions import IDENTITY, SITE, TOKEN
from probes.remote import Seen, Visit

REFUSALS = (401, 403)
# What only makes sense where requests need a preflight; Allow-Origin alone is usual for fonts and public files.
_PREFLIGHTED = ("Access-Control-Allow-Headers", "Access-Control-Allow-Methods", "Access-Control-Max-Age")


_CLAIMS = {f"{TOKEN}-{number}": name for number, name in enumerate(IDENTITY, 1)}


class Verdict(NamedTuple):
    """A statement. `rule` names what was found, `probes` are the requests that show it."""

    rule: str
    severity: str
    text: str
    probes: tuple[str, ...] = ()


def judge(visits: Sequence[Visit], settings: Settings = DEFAULT) -> list[list[Verdict]]:
    """The statements on each of the visits. What is seen at one URL may tell what another one means."""
    checked = {name for visit in visits for name in _set_by_the_proxy(visit, settings)}
    return [list(_judge(visit, checked, settings)) for visit in visits]


def _judge(visit: Visit, checked: set[str], settings: Settings) -> Iterator[Verdict]:
    if visit.error:
        return
    behind = any(seen.exchanges is not None for seen in visit.seen)
    yield from _without_credentials(visit)
    yield from _made_up(visit, behind)
    yield from _preflight(visit)
    yield from _cross_origin(visit)
    if behind:
        yield from _authorization(visit)
        yield from _identity(visit, checked, settings)
        yield from _origins_answers(visit)
    else:
        yield from _identity_from_outside(visit)
    yield from _repeated(visit, behind)
    yield from _limit(visit)


def _without_credentials(visit: Visit) -> Iterator[Verdict]:
    seen = visit.get("no-credentials")
    if seen is None:
        return
    probes = (seen.probe,)
    if seen.status is None:
        yield Verdict("answer", INFO, "Without credentials, the connection is closed without an answer.", probes)
    elif 300 <= seen.status < 400 and seen.header("Location"):
        place = _place(seen.header("Location")[0])
        yield Verdict("answer", INFO, f"Without credentials, it redirects to {place}; this was not followed.", probes)
    elif seen.status == 401:
        schemes = challenges(seen)
        if schemes:
            text = f"Without credentials, it answers 401 and asks for {' or '.join(schemes)}."
            yield Verdict("answer", INFO, text, probes)
        else:
            text = "A 401 goes out without WWW-Authenticate: clients cannot tell how to authenticate."
            yield Verdict("missing-challenge", WARNING, text, probes)
    else:
        where = ", and the request reaches the origin" if seen.reached else ""
        yield Verdict("answer", INFO, f"Without credentials, it answers {seen.status}{where}.", probes)


def _made_up(visit: Visit, behind: bool) -> Iterator[Verdict]:
    """Credentials that nobody has given out, where the same request without any is refused."""
    plain = visit.get("no-credentials")
    if plain is None or plain.status not in REFUSALS or plain.reached:
        return
    for name, scheme in (("wrong-basic", "Basic"), ("bearer", "Bearer")):
        seen = visit.get(name)
        if seen is None:
            continue
        probes = (plain.probe, seen.probe)
        if seen.reached:
            asked = scheme in challenges(plain)
            text = f"Made-up {scheme} credentials get past the gate that refuses a request without any: "
            text += "the origin has to check them."
            yield Verdict("open-gate", WARNING if asked and scheme == "Basic" else INFO, text, probes)
        elif not behind and seen.status is not None and 200 <= seen.status < 300:
            text = f"Without credentials it answers {plain.status}, with made-up {scheme} ones {seen.status}: "
            text += "what they are is not checked."
            yield Verdict("open-gate", ERROR, text, probes)


def _preflight(visit: Visit) -> Iterator[Verdict]:
    seen = visit.get("preflight")
    if seen is None or seen.status is None:
        return
    cross = visit.get("cross-origin")
    if seen.reached:
        yield Verdict("preflight", INFO, "The preflight goes on to the origin, which has to answer it.", (seen.probe,))
        return
    if seen.status in REFUSALS:
        meant = [one for one in (seen, cross) if one is not None and _means_cors(one)]
        text = f"The preflight is refused with {seen.status}: browsers will not send the request."
        if meant:
            text += " The answers carry CORS headers, so pages of other origins are meant to use this."
        probes = tuple(dict.fromkeys(one.probe for one in (seen, *meant)))
        yield Verdict("gated-preflight", ERROR if meant else INFO, text, probes)
        return
    if not 200 <= seen.status < 300:
        text = f"The preflight is answered {seen.status}: browsers take only 200 to 299, and will not send the request."
    elif not set(seen.header("Access-Control-Allow-Origin")) & {"*", SITE}:
        text = (
            f"The preflight is answered {seen.status}, but does not admit {SITE}: browsers will not send the request."
        )
    elif not _admits_authorization(seen):
        text = "The preflight admits other origins, but not the header Authorization: browsers will not send it."
    else:
        text = "The preflight admits requests with Authorization from other origins."
    yield Verdict("preflight", INFO, text, (seen.probe,))


def _means_cors(seen: Seen) -> bool:
    return bool(seen.header("Access-Control-Allow-Origin")) and any(seen.header(name) for name in _PREFLIGHTED)


def _admits_authorization(seen: Seen) -> bool:
    """Whether Authorization is named: a `*` does not stand for it (Fetch standard, 3.3.1)."""
    words = ",".join(seen.header("Access-Control-Allow-Headers")).lower().split(",")
    return "authorization" in [word.strip() for word in words]


def _cross_origin(visit: Visit) -> Iterator[Verdict]:
    """A made-up page is named back as one that may read answers made for a user's cookies."""
    for name in ("cross-origin", "preflight"):
        seen = visit.get(name)
        if seen is None or SITE not in seen.header("Access-Control-Allow-Origin"):
            continue
        if "true" in [value.strip() for value in seen.header("Access-Control-Allow-Credentials")]:
            text = f"Any page may read what a user sees here: {SITE}, which is made up, is admitted with credentials."
            yield Verdict("open-cors", ERROR, text, (seen.probe,))
            return


def _authorization(visit: Visit) -> Iterator[Verdict]:
    plain, bearer = visit.get("no-credentials"), visit.get("bearer")
    if bearer is not None and bearer.reached:
        fate = bearer.fate("Authorization")
        if fate == STRIPPED:
            gate = plain is not None and not plain.reached
            text = "Authorization does not reach the origin"
            text += "." if gate else ", and no gate has used it: the application sees every client as anonymous."
            yield Verdict("stripped-authorization", INFO if gate else WARNING, text, (bearer.probe,))
        elif fate in (REPLACED, CHANGED):
            text = "The origin gets another Authorization than the client sent."
            yield Verdict("replaced-authorization", INFO, text, (bearer.probe,))
    right = visit.get("basic")
    if right is not None and right.fate("Authorization") == FORWARDED and plain is not None and not plain.reached:
        yield Verdict(
            "leaked-credentials", INFO, "The password that the gate has checked goes on to the origin.", (right.probe,)
        )
    best = right or bearer
    hop = visit.get("hop-by-hop")
    if best and hop and best.fate("Authorization") == FORWARDED and hop.fate("Authorization") == STRIPPED:
        text = "A client that names Authorization in Connection takes it away from the origin (RFC 9110, 7.6.1)."
        yield Verdict("hop-by-hop", INFO, text, (best.probe, hop.probe))
    lower = visit.get("lower-case")
    if best and lower and (best.status, best.reached) != (lower.status, lower.reached):
        text = (
            f"The scheme's name in lower case is answered {_said(lower)}, else {_said(best)}: "
            "case must not matter (RFC 9110, 11.1)."
        )
        yield Verdict("scheme-case", WARNING, text, (best.probe, lower.probe))
    forwarding = visit.get("forwarding")
    if forwarding is not None and forwarding.fate("X-Forwarded-For") == FORWARDED:
        text = "X-Forwarded-For reaches the origin as the client wrote it: the address in it is what the client claims."
        yield Verdict("client-address", INFO, text, (forwarding.probe,))


def _set_by_the_proxy(visit: Visit, settings: Settings) -> Iterator[str]:
    """The identity headers that the proxy makes itself, in lower case with dashes: the application is meant to believe
    them. Seen on requests that did not carry them, or by another value than the client's."""
    for seen in visit.seen:
        for fate in seen.fates:
            claimed = set(fate.values) & set(_CLAIMS)
            if fate.fate in (ADDED, REPLACED) and _identifies(seen, fate.name, settings) and not claimed:
                yield _plain(fate.name)


def _identifies(seen: Seen, name: str, settings: Settings) -> bool:
    """Whether a header of that name says who the user is. The parameter REMOTE_USER is none: the parameter files of the
    distributions pass it everywhere, and no client can write it."""
    assert seen.main is not None
    if seen.main.protocol in CGI_LIKE and name in PARAMETERS:
        return False
    return settings.names_identity(name)


def _identity(visit: Visit, checked: set[str], settings: Settings) -> Iterator[Verdict]:
    """The headers of the spoofing probes that came through: by the value, because spellings may change on the way."""
    came: dict[str, list[str]] = {}  # the header as the probes name it -> the probes with which it arrived
    for seen in visit.seen:
        if seen.probe.startswith("spoofed") and seen.main is not None:
            for name, value in arrivals(seen.main):
                if value in _CLAIMS and _identifies(seen, name, settings):
                    came.setdefault(_CLAIMS[value], []).append(seen.probe)
    harmful = {name: probes for name, probes in came.items() if _plain(name) in checked}
    for name, probes in harmful.items():
        if "spoofed" in probes or "spoofed-lower" in probes:
            text = f"{name} reaches the origin as the client sent it, although the proxy itself sets it on other "
            text += "requests: a client can choose who it is."
            yield Verdict("spoofable-identity-header", ERROR, text, tuple(probes))
        else:
            text = f"The proxy sets {name}, but {name.replace('-', '_')} of the client's comes through: "
            text += "applications behind CGI, FastCGI or WSGI read both as the same header."
            yield Verdict("spoofable-identity-header", WARNING, text, tuple(probes))
    wrong = visit.get("wrong-basic")
    for fate in wrong.fates if wrong is not None else ():
        if (
            wrong is not None
            and fate.fate == ADDED
            and TOKEN in fate.values
            and _identifies(wrong, fate.name, settings)
        ):
            text = f"The proxy makes {fate.name} of the name in Basic credentials that nobody has checked: "
            text += "a client can choose who it is."
            yield Verdict("spoofable-identity-header", ERROR, text, (wrong.probe,))
    rest = [name for name in came if name not in harmful]
    if rest:
        text = f"{', '.join(rest)}: reach the origin as the client sent them. "
        text += "That is harmless as long as the application believes none of them."
        yield Verdict("identity-headers", INFO, text, tuple(dict.fromkeys(p for name in rest for p in came[name])))


def _identity_from_outside(visit: Visit) -> Iterator[Verdict]:
    asked = [seen for seen in visit.seen if seen.probe.startswith("spoofed") and not seen.probe.endswith(" again")]
    changed = unstable = False
    for seen in asked:
        again = visit.get(f"{seen.probe} again")
        plain = next((one for one in visit.seen if one.probe in ("no-credentials again", "basic again")), None)
        before = None if plain is None else visit.get(plain.probe.removesuffix(" again"))
        if again is None or plain is None or before is None:
            continue
        if before.picture != plain.picture or again.picture != seen.picture:
            unstable = True
            continue
        changed = True
        probes = (before.probe, seen.probe)
        if before.status in REFUSALS and seen.status is not None and 200 <= seen.status < 300:
            text = f"The answer is {before.status}, and {seen.status} when the client claims an identity by a header: "
            yield Verdict("spoofable-identity-header", ERROR, text + "the claim is believed.", probes)
        else:
            text = f"The answer changes when the client sends identity headers ({_said(before)}, then {_said(seen)}; "
            text += "twice the same): something reads them. Whether it believes them cannot be told from outside."
            yield Verdict("identity-headers", INFO, text, probes)
    if asked and not changed:
        text = "Identity headers of the client's do not change the answer; whether they reach the origin "
        if unstable:
            text = "The answer changes from one request to the next; whether identity headers change it "
        yield Verdict("identity-headers", INFO, text + "cannot be told from outside.", (asked[0].probe,))


def _origins_answers(visit: Visit) -> Iterator[Verdict]:
    refused = visit.get("origin-401")
    if refused is not None and refused.reached:
        if refused.status == 401 and not refused.header("WWW-Authenticate"):
            text = "The challenge of the origin's 401 is lost on the way: clients cannot tell how to authenticate."
            yield Verdict("missing-challenge", WARNING, text, (refused.probe,))
        elif refused.status != 401:
            text = f"The client gets {_said(refused)} where the origin answers 401."
            yield Verdict("changed-answer", INFO, text, (refused.probe,))
    forbidden = visit.get("origin-403")
    if forbidden is not None and forbidden.reached and forbidden.status != 403:
        text = f"The client gets {_said(forbidden)} where the origin answers 403."
        yield Verdict("changed-answer", INFO, text, (forbidden.probe,))


def _repeated(visit: Visit, behind: bool) -> Iterator[Verdict]:
    first, other = visit.get("repeat-first"), visit.get("repeat-other")
    if first is None or other is None:
        return
    probes = (first.probe, other.probe)
    text = "An answer made for one client is served to another one with other credentials, out of a cache."
    if behind:
        if first.reached and other.owner == first.probe:
            yield Verdict("answer-of-another-user", ERROR, text, probes)
        return
    refused = visit.get("bearer")
    if refused is None or refused.status not in REFUSALS or first.status != 200 or not first.picture[1]:
        return
    assert first.reply is not None and other.reply is not None
    if other.status == 200 and other.reply.body == first.reply.body:
        yield Verdict("answer-of-another-user", ERROR, text, ("bearer", *probes))


def _limit(visit: Visit) -> Iterator[Verdict]:
    limit = visit.limit
    if limit.unknown:
        text = f"How long an Authorization may be is not known: {limit.unknown}."
    elif limit.most:
        text = f"An Authorization of {limit.size} bytes fares as a short one; no longer one was tried."
    else:
        text = f"An Authorization of up to {limit.size} bytes fares as a short one; a longer one gets {limit.refusal}."
    yield Verdict("limit", INFO, text, tuple(s.probe for s in visit.seen if s.probe.startswith("oversized")))


def challenges(seen: Seen) -> list[str]:
    """The schemes of the answer's WWW-Authenticate lines (RFC 9110, 11.6.1), in order."""
    schemes: list[str] = []
    for value in seen.header("WWW-Authenticate"):
        for part in re.sub(r'"(\\.|[^"\\])*"', '""', value).split(","):
            words = part.strip().split(None, 1)
            # A parameter is name=value; a scheme stands alone or before its first parameter.
            if words and "=" not in words[0] and words[0].replace("-", "").isalnum():
                schemes.append(words[0])
    return schemes


def _place(location: str) -> str:
    """A redirect's place without its query, in which secrets may be."""
    place = location.split("?", 1)[0].split("#", 1)[0]
    try:
        request = make_request(place)
    except ValueError:
        return place
    return request.url


def _said(seen: Seen) -> str:
    if seen.status is None:
        return "no answer"
    return f"{seen.status} with {seen.picture[1]} bytes"


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("http-")
