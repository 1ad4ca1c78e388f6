"""mod_rewrite: the rules of a server and of its sections (mod_rewrite.c: hook_uri2file, hook_fixup,
apply_rewrite_list, apply_rewrite_rule)."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import NoReturn

from auditor.regex import RegexError
from auditor.servers.apache.config import Directive, Server
from auditor.servers.apache.pattern import compile_pattern, groups_of
from auditor.servers.apache.rewrite_conditions import hold
from auditor.servers.apache.rewrite_effects import apply_forced, force, set_cookies, set_variables
from auditor.servers.apache.rewrite_expand import Context, expand
from auditor.servers.apache.rewrite_rules import MAX_ROUNDS, Rule, Rules, directory_rules, is_on, server_rules
from auditor.servers.apache.run import InternalRedirect, Respond, Run, Unpredictable, decides
from auditor.servers.apache.storage import document_root, options_of
from auditor.servers.apache.urls import authority, escape, escape_absolute, has_controls, part, scheme_of
from auditor.values import CLIENT, EMPTY, Value, join, literal
from auditor.world import Answer, Question

_SAFER = (2, 4, 60)  # since then substitutions are distrusted where a client may have made them
_CHECKED = (2, 4, 56)  # since then a query with blanks or control characters is refused
# Folders at the top of nearly every machine.
_TOP = frozenset("bin boot dev etc home lib lib64 media mnt opt proc root run sbin srv sys tmp usr var".split())


class _Result:
    """What a list of rules has come to. `last` is the last rule that substituted; `unescaped`: it has NE."""

    def __init__(self) -> None:
        self.last: Rule | None = None
        self.passes = False
        self.reduced = False
        self.status = 200

    @property
    def unescaped(self) -> bool:
        return self.last is not None and self.last.has("NE") and not self.passes


def translate(run: Run) -> bool:
    """Server-wide rules, before anything else is known of the path (hook_uri2file). True where they have found a file or
    an upstream; raises Respond for a status or a redirect."""
    merged = directory_rules(run.layers)
    server = server_rules(run.server)
    if not is_on(merged) or not server.own or run.first.notes.get("end"):
        return False
    if not run.uri.startswith("/") and "allowanyuri" not in merged.options:
        return False
    assert merged.engine is not None
    _script_variables(run, merged.engine)
    context = Context(run, None, server.maps)
    query = None if run.args is None else literal(run.args, CLIENT)
    context.put(literal(run.uri, CLIENT), query)
    result = _apply_list(context, server.rules)
    rule = result.last
    if rule is None:
        run.filename = None
        return False
    _refuse_blanks(run, rule)
    if rule.has("P") and not result.passes:
        _proxy(context, rule, join((context.path, literal(run.path_info, CLIENT))), result.unescaped)
        return True
    text = context.path.text or ""
    if result.passes:
        run.uri, run.filename = text, None
        return False
    if scheme_of(text)[0]:
        _redirect(context, rule, result, query)
    if not text.startswith("/"):
        raise Respond(400, rule.line)
    if result.reduced and "legacyprefixdocroot" not in server.options or not _is_on_disk(run, text, rule):
        merged_path = posixpath.normpath("/" + text.lstrip("/")) if "/." in text else "/" + text.lstrip("/")
        run.filename = document_root(run) + merged_path
    run.step(rule.line, f"the path is {run.filename}")
    return True


def _script_variables(run: Run, line: Directive) -> None:
    """SCRIPT_URL and SCRIPT_URI: the path and the URL that the client asked for."""
    if run.main is None:
        path = run.env.get("REDIRECT_SCRIPT_URL") or literal(run.uri, CLIENT)
    else:
        path = run.main.env.get("SCRIPT_URL") or EMPTY
    run.env.set("SCRIPT_URL", path, decides(line))
    run.env.set("SCRIPT_URI", join((authority(run), path)), decides(line))


def _is_on_disk(run: Run, path: str, rule: Rule) -> bool:
    """Whether a substitution is taken for a path of the file system: its first segment exists there (prefix_stat), and
    since 2.4.60 also comes from the rule itself or leads into the DocumentRoot."""
    top = "/" + path.lstrip("/").partition("/")[0]
    root = document_root(run)
    roots = {root, str(run.notes.get("context document root") or root)}
    inside = any(path.startswith(folder) for folder in roots)
    if run.shared.options.version >= _SAFER and not rule.has("UNSAFEPREFIXSTAT"):
        if not (rule.output.startswith(top) or inside):
            return False
    # One answer only: what is not known is what nearly every machine has.
    exists = top == "/" or inside or top[1:] in _TOP or any(folder.startswith(top + "/") for folder in roots)
    assumed = Answer("directory", f"{top} exists") if exists else Answer("missing", f"{top} does not exist")
    return run.ask(Question("file", top), [assumed], rule.line.place).name not in ("missing", "no-folder")


def fixup(run: Run) -> None:
    """Rules of sections and .htaccess (hook_fixup), and what T and H have said. Raises InternalRedirect for another path:
    the fixups of other modules still run before it is followed."""
    merged = directory_rules(run.layers)
    if is_on(merged) and merged.folder is not None and not run.first.notes.get("end"):
        _directory_rules(run, merged, merged.folder)
    apply_forced(run)


def _directory_rules(run: Run, merged: Rules, folder: str) -> None:
    proxied = run.is_proxy and (run.filename or "").startswith("proxy:")
    if not proxied and "allownoslash" not in merged.options and run.filename == folder[:-1]:
        return
    if not {"followsymlinks", "symlinksifownermatch"} & options_of(run.layers):
        raise Respond(403, run.layers.last("options") or merged.engine)
    filename, info = run.filename or run.uri, run.path_info
    context = Context(run, folder, server_rules(run.server).maps)
    query = None if run.args is None else literal(run.args, CLIENT)
    root = folder if filename.startswith(folder) else document_root(run)
    known = len(root) if filename.startswith(root) else 0
    context.put(join((literal(filename[:known]), literal(filename[known:], CLIENT))), query)
    run.per_dir = folder
    result = _apply_list(context, merged.rules)
    rule = result.last
    if rule is None:
        run.filename = filename
        return
    _refuse_blanks(run, rule)
    if rule.has("P") and not result.passes:
        target = join((context.path, literal("?"), context.query)) if context.query is not None else context.path
        _proxy(context, rule, target, True)
        return
    text = context.path.text or ""
    if scheme_of(text)[0] and not result.passes:
        _redirect(context, rule, result, query, merged)
    if not text.startswith("/"):
        raise Respond(400, rule.line)
    if text == filename:
        run.step(rule.line, "the path stays as it is")
        return
    uri = _as_uri(run, text, merged, folder)
    run.path_info = info
    run.filename, run.handler, run.handler_line = f"redirect:{uri}", "redirect-handler", rule.line
    run.notes["redirect-keeps-vary"] = True
    run.step(rule.line, f"the path becomes {uri}")
    raise InternalRedirect(uri if run.args is None else f"{uri}?{run.args}", rule.line)


def _as_uri(run: Run, path: str, merged: Rules, folder: str) -> str:
    """The URI of a path: RewriteBase in the place of the section's folder, without it the DocumentRoot taken away, else
    the prefix of an Alias put in the place of its folder."""
    if merged.base is not None:
        uri = _replace_prefix(path, folder, merged.base.args[0])
    else:
        root = document_root(run).rstrip("/")
        uri = path[len(root) :] if path.startswith(root + "/") else path
    if uri == path and "ignorecontextinfo" not in merged.options:
        root = run.notes.get("context document root") or document_root(run)
        uri = _replace_prefix(path, str(root), str(run.notes.get("context prefix") or ""))
    return uri


def _replace_prefix(path: str, prefix: str, by: str) -> str:
    """subst_prefix_path."""
    prefix = prefix.removesuffix("/")
    if not path.startswith(prefix + "/"):
        return path
    by = by + "/" if by and not by.endswith("/") else by
    return by + path[len(prefix) + 1 :]


def _refuse_blanks(run: Run, rule: Rule) -> None:
    if run.args is not None and has_controls(run.args) and run.shared.options.version >= _CHECKED:
        run.step(rule.line, "refused: the new query holds blanks or control characters")
        raise Respond(403, rule.line)


def _proxy(context: Context, rule: Rule, target: Value, as_it_stands: bool) -> None:
    run, text = context.run, target.text
    if not run.config.modules.has("proxy"):
        raise Respond(403, rule.line)
    if text is None:
        raise Unpredictable("where a RewriteRule with P leads is not known", rule.line.place)
    if as_it_stands:
        if has_controls(text):
            raise Respond(403, rule.line)
        run.notes["proxy-nocanon"] = True
        if context.folder is None and context.query is not None:
            text += f"?{run.args}"
    run.filename = f"proxy:{text}"
    run.is_proxy, run.proxy_line = True, rule.line
    run.handler, run.handler_line = "proxy-server", rule.line
    run.step(rule.line, f"passed to {text}")


def _redirect(context: Context, rule: Rule, result: _Result, query: Value | None, merged: Rules | None = None) -> NoReturn:
    """An absolute URL: the client is sent there. The query is escaped where a substitution has changed it."""
    target = context.path
    if merged is not None and merged.base is not None and context.folder is not None:
        text = target.text or ""
        slash = text.find("/", scheme_of(text)[0])
        if slash != -1 and slash + 1 < len(text):
            rest = _replace_prefix(text[slash + 1 :], context.folder[1:], merged.base.args[0][1:])
            if rest != text[slash + 1 :]:
                target = join((part(target, 0, slash + 1), literal(rest)))
    if not result.unescaped:
        target = escape_absolute(target)
    if context.query is not None:
        same = result.unescaped or (query is not None and context.query.text == query.text)
        target = join((target, literal("?"), context.query if same else escape(context.query)))
    if any(char < " " or char == "\x7f" for char in target.text or ""):
        raise Respond(500, rule.line)  # no header line can carry it
    _send(context.run, rule, target)


def _send(run: Run, rule: Rule, target: Value) -> NoReturn:
    run.step(rule.line, f"redirect {rule.status}")
    raise Respond(rule.status, rule.line, target)


# --- lists of rules


def _apply_list(context: Context, rules: Sequence[Rule]) -> _Result:
    """The rules in order, with their flags C, S, N, L and END (apply_rewrite_list)."""
    run, result = context.run, _Result()
    rounds, at = 1, 0
    seen: set[tuple[str | None, str | None]] = set()
    while at < len(rules):
        rule = rules[at]
        if run.main is not None and rule.has("NS", "R"):
            at += 1
            continue
        if not _apply(context, rule, result):
            while at < len(rules) and rules[at].has("C"):
                at += 1
            at += 1
            continue
        run.rewritten += 1
        if rule.has("PT"):
            result.passes, result.last = True, rule
            break
        if rule.has("END"):
            run.first.notes["end"] = True
            break
        if rule.has("P", "L"):
            break
        if rule.has("N"):
            rounds += 1
            state = (run.filename, run.args)
            if rounds >= rule.number("N", MAX_ROUNDS) or state in seen or len(run.filename or "") > 16380:
                run.step(rule.line, "the rules with N come to no end: 500")
                raise Respond(500, rule.line)
            seen.add(state)
            at = 0
            continue
        at += 1 + rule.number("S", 0)
    return result


def _apply(context: Context, rule: Rule, result: _Result) -> bool:
    """One rule (apply_rewrite_rule): whether it applies. Raises Respond for a status of its own."""
    run = context.run
    proxied = context.folder is not None and run.is_proxy and (run.filename or "").startswith("proxy:")
    subject = context.path
    if context.folder is not None:
        subject = join((subject, literal(run.path_info, CLIENT)))
        if not proxied and (subject.text or "").startswith(context.folder):
            subject = part(subject, len(context.folder))
    try:
        match = compile_pattern(rule.pattern, rule.has("NC")).search(subject.text or "")
    except RegexError as error:
        raise Unpredictable(str(error), rule.line.place) from error
    if (match is not None) is rule.negated:
        return False
    context.vary = []
    context.condition_groups = ()
    context.rule_groups = groups_of(subject, match) if match is not None else ()
    if not hold(context, rule):
        return False
    expanded = expand(context, rule.output, rule) if rule.substitutes else None
    if expanded is not None and expanded.marked and _unsafe(run, rule):
        run.step(rule.line, "refused: a %3F of the client's would begin a query")
        raise Respond(403, rule.line)
    set_variables(context, rule)
    set_cookies(context, rule)
    if rule.answers:
        run.step(rule.line, f"answers {rule.status}")
        raise Respond(rule.status, rule.line)
    if expanded is None:
        force(context, rule)
        return True
    result.last, result.passes = rule, False
    if expanded.value.text is None:
        _unknown_target(run, rule, expanded.value)
    if context.folder is not None and rule.has("DPI"):
        run.path_info = ""
    _split_query(context, rule, expanded.value)
    text = context.path.text or ""
    if context.folder is not None and not proxied and not text.startswith("/") and not scheme_of(text)[0]:
        context.put(join((literal(context.folder), context.path)), context.query)
    if rule.has("P"):
        if context.folder is not None and not rule.has("NE"):
            context.put(escape(context.path), context.query)
        _qualify(context)
        return True
    if rule.has("R"):
        _qualify(context)
        return True
    _reduce(context, result)
    if not scheme_of(context.path.text or "")[0]:
        force(context, rule)
    return True


def _unsafe(run: Run, rule: Rule) -> bool:
    if rule.has("UNSAFEALLOW3F") or run.shared.options.version < _SAFER:
        return False
    return "%3f" in run.unparsed.lower()


def _unknown_target(run: Run, rule: Rule, target: Value) -> NoReturn:
    """A substitution of which a part is not known: a redirect is sent all the same."""
    first = target.segments[0].text or ""
    absolute = scheme_of(first + "......")[0] != 0
    if rule.has("P") or not (absolute or rule.has("R")):
        raise Unpredictable("what a RewriteRule makes of the path is not known", rule.line.place)
    if not absolute:
        target = join((authority(run), literal("" if first.startswith("/") else "/"), target))
    _send(run, rule, target)


def _split_query(context: Context, rule: Rule, target: Value) -> None:
    """The query of a substitution (splitout_queryargs)."""
    query = context.query
    text = target.text or ""
    skip, may = scheme_of(text)
    if rule.drops or (skip and not may):
        context.put(target, None)
        return
    if rule.has("QSD"):
        query = None
    mark = text.rfind("?", skip) if rule.has("QSL") else text.find("?", skip)
    if mark != -1:
        own, target = part(target, mark + 1), part(target, 0, mark)
        if not rule.has("QSA"):
            query = own
        elif own.text:
            query = join((own, literal("&"), query or EMPTY))
        text = (query or EMPTY).text or ""
        if not text:
            query = None
        elif query is not None and text.endswith("&"):
            query = part(query, 0, len(text) - 1)
    context.put(target, query)


def _qualify(context: Context) -> None:
    """fully_qualify_uri."""
    text = context.path.text or ""
    if context.run.method != "CONNECT" and not scheme_of(text)[0]:
        slash = literal("" if text.startswith("/") else "/")
        context.put(join((authority(context.run), slash, context.path)), context.query)


def _reduce(context: Context, result: _Result) -> None:
    """A URL of this very server becomes a path (reduce_uri)."""
    text = context.path.text or ""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() != context.run.shared.request.scheme:
        return
    host, slash, _ = rest.partition("/")
    name, colon, port = host.partition(":")
    number = int(port) if port.isdigit() else {"https": 443}.get(scheme.lower(), 80)
    if colon and not port.isdigit():
        number = 0
    if not _is_here(context.run.server, name, number):
        return
    result.reduced = True
    context.put(part(context.path, len(text) - len(rest) + len(host)) if slash else literal("/"), context.query)


def _is_here(server: Server, host: str, port: int) -> bool:
    """ap_matches_request_vhost: an address of the virtual host, or its name where ServerName tells that port."""
    low = host.lower()
    for address in server.addresses:
        if address.port in (None, port) and address.host.lower() == low:
            return True
    return server.name_port == port and (low == server.name or low in server.aliases)
