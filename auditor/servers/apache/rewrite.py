"""mod_rewrite: the rules of a server and of its sections (mod_rewrite.c: hook_uri2file, hook_fixup)."""

from __future__ import annotations

import posixpath
from typing import NoReturn

from auditor.servers.apache.config import Directive
from auditor.servers.apache.options import options_of
from auditor.servers.apache.rewrite_apply import SAFER, Result, apply_list, send_away
from auditor.servers.apache.rewrite_effects import apply_forced, forced_handler
from auditor.servers.apache.rewrite_expand import Context
from auditor.servers.apache.rewrite_rules import Rule, Rules, directory_rules, is_on, server_rules
from auditor.servers.apache.run import InternalRedirect, Respond, Run, Unpredictable, decides
from auditor.servers.apache.storage import document_root
from auditor.servers.apache.urls import authority, escape, escape_absolute, has_controls, part, scheme_of
from auditor.values import CLIENT, EMPTY, Value, join, literal
from auditor.world import Answer, Question

_CHECKED = (2, 4, 56)  # since then a query with blanks or control characters is refused
# Folders at the top of nearly every machine.
_TOP = frozenset(
    (
        *("bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run"),
        *("sbin", "srv", "sys", "tmp", "usr", "var"),
    )
)


def translate(run: Run) -> bool:
    """Server-wide rules, before anything else is known of the path (hook_uri2file). True where they have found a file
    or an upstream; raises Respond for a status or a redirect."""
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
    result = apply_list(context, server.rules)
    rule = result.last
    if rule is None:
        run.filename = None
        return False
    _refuse_blanks(context, rule, result)
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
    path = posixpath.normpath("/" + text.lstrip("/")) + ("/" if text.endswith("/") and len(text) > 1 else "")
    run.filename = path
    if (result.reduced and "legacyprefixdocroot" not in server.options) or not _is_on_disk(run, text, rule):
        run.filename = document_root(run) + path
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
    top = "/" if top in ("/.", "/..") else top
    root = document_root(run)
    roots = {root, str(run.notes.get("context document root") or root)}
    inside = any(path.startswith(folder) for folder in roots)
    trusted = run.shared.options.version < SAFER or rule.has("UNSAFEPREFIXSTAT")
    if not (trusted or inside or rule.output.startswith(top)):
        return False
    # One answer only: what is not known is what nearly every machine has.
    exists = top == "/" or inside or top[1:] in _TOP or any(folder.startswith(top + "/") for folder in roots)
    assumed = Answer("directory", f"{top} exists") if exists else Answer("missing", f"{top} does not exist")
    return run.ask(Question("file", top), [assumed], rule.line.place).name not in ("missing", "no-folder")


def fixup(run: Run) -> None:
    """Rules of sections and .htaccess (hook_fixup), and what T and H have said. Raises InternalRedirect for another
    path: the fixups of other modules still run before it is followed."""
    merged = directory_rules(run.layers)
    if is_on(merged) and merged.folder is not None and not run.first.notes.get("end"):
        try:
            _directory_rules(run, merged, merged.folder)
        except InternalRedirect as redirect:
            forced = forced_handler(run)
            if forced is None:
                raise
            _handle_redirect(run, redirect.uri, *forced)
    apply_forced(run)


def _handle_redirect(run: Run, uri: str, handler: str, line: Directive) -> None:
    """H takes the internal redirect's place as the handler, and that one gets `redirect:URI` for a file name."""
    run.step(line, f"the handler {handler} gets redirect:{uri} for a file, which there is not")
    if handler.startswith("proxy:"):
        return
    if run.found == "missing":
        raise Respond(404, line)
    if handler == "cgi-script":
        raise Respond(500, line)
    if handler in ("none", "default-handler"):
        raise Respond(403, line)
    raise Unpredictable(f"the handler {handler} gets a file name that is none", line.place)


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
    result = apply_list(context, merged.rules)
    rule = result.last
    if rule is None:
        run.filename = filename
        return
    _refuse_blanks(context, rule, result)
    if rule.has("P") and not result.passes:
        _proxy(context, rule, context.path, result.unescaped)
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
        root = str(run.notes.get("context document root") or document_root(run))
        uri = _replace_prefix(path, root, str(run.notes.get("context prefix") or ""))
    return uri


def _replace_prefix(path: str, prefix: str, by: str) -> str:
    """subst_prefix_path."""
    prefix = prefix.removesuffix("/")
    if not path.startswith(prefix + "/"):
        return path
    by = by + "/" if by and not by.endswith("/") else by
    return by + path[len(prefix) + 1 :]


def _refuse_blanks(context: Context, rule: Rule, result: Result) -> None:
    run = context.run
    if run.args is None or not has_controls(run.args) or run.shared.options.version < _CHECKED:
        return
    if result.unescaped or rule.has("P") or not scheme_of(run.filename or "")[0]:  # else a redirect escapes them
        run.step(rule.line, "refused: the new query holds blanks or control characters")
        raise Respond(403, rule.line)


def _proxy(context: Context, rule: Rule, target: Value, as_it_stands: bool) -> None:
    """The request goes to an upstream. mod_proxy encodes the path, but for NE, where the URL is sent as it stands."""
    run, text = context.run, target.text
    if not run.config.modules.has("proxy"):
        raise Respond(403, rule.line)
    if text is None:
        raise Unpredictable("where a RewriteRule with P leads is not known", rule.line.place)
    if as_it_stands or run.notes.get("proxy-nocanon"):  # of a ProxyPass for a part of the site
        run.notes["proxy-nocanon"] = True
        if run.args is not None:
            text += f"?{run.args}"
    run.filename = f"proxy:{text}"
    run.is_proxy, run.proxy_line = True, rule.line
    run.handler, run.handler_line = "proxy-server", rule.line
    run.step(rule.line, f"passed to {text}")


def _redirect(
    context: Context, rule: Rule, result: Result, query: Value | None, merged: Rules | None = None
) -> NoReturn:
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
    send_away(context.run, rule, target)
