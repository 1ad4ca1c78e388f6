"""What produces the answer: mirror and try_files, then the content handlers, files last."""

from __future__ import annotations

from auditor.servers.nginx import gzip, paths, response
from auditor.servers.nginx.conditions import Entity, of_file, range_of
from auditor.servers.nginx.config import PASSES
from auditor.servers.nginx.run import OutHeader, Run, Unpredictable, decides
from auditor.servers.nginx.script import file_answer, file_state, program
from auditor.servers.nginx.syntax import Directive
from auditor.servers.nginx.uri import escape, split_args
from auditor.servers.nginx.variables import evaluate, text_of
from auditor.trace import DECIDES, Because
from auditor.values import CLIENT, literal

Result = int | None
_ECHOES = ("echo", "echo_duplicate", "echo_status")  # they answer with their own words alone
_GIF_TIME = 23349600  # when the empty GIF was last changed, says nginx (1970-09-28)


def precontent(run: Run) -> Result:
    """try_files and mirror; None where the content phase comes next."""
    line = run.level.line("precontent_by_lua_block")
    if line is not None:
        program(run, line)
    lines = run.level.own.get("try_files")
    if lines and len(lines[-1].args) >= 2:
        status = _try_files(run, lines[-1])
        if status is not None:
            return status
    return _mirror(run)


def _mirror(run: Run) -> Result:
    from auditor.servers.nginx.phases import may_be_too_large

    lines = run.level.lines("mirror")
    if not run.is_main or run.mirrored or not lines or lines[0].args[:1] == ["off"]:
        return None
    run.mirrored = True
    if run.level.flag("mirror_request_body", True):
        if not run.body.read and may_be_too_large(run):
            return 413
        run.body = run.body._replace(read=True)
    run.mirrors.extend((line, run.args, run.method) for line in lines)
    return None


def send_mirrors(run: Run) -> None:
    """The mirror subrequests, which go out once the main request is on its way (NGX-605)."""
    from auditor.servers.nginx import phases

    pending, run.mirrors = run.mirrors, []
    for line, args, method in pending:
        run.step(line, f"the request is mirrored to {line.args[0]}")
        phases.subrequest(run, line.args[0], "mirror", args, method)


def _try_files(run: Run, line: Directive) -> Result:
    from auditor.servers.nginx import phases

    *candidates, last = line.args
    if not run.valid_location and paths.alias_length(run) is not None:
        raise paths.NoPath
    alias = paths.alias_length(run)
    for candidate in candidates:
        wants_folder = len(candidate) > 1 and candidate.endswith("/")
        name = text_of(run, candidate[:-1] if wants_folder else candidate, "try_files")
        if alias is not None and alias > 0 and name.startswith(run.uri[:alias]) and "$" in candidate:
            name = name[alias:]
        path = _root_of(run) + name
        state = file_state(run, path, line)
        if state == ("directory" if wants_folder else "file"):
            if alias is None:
                run.uri = name
            elif alias == -1:
                if not wants_folder:
                    run.uri = name
                    run.add_uri_to_alias = True
            else:
                run.uri = run.uri[:alias] + name
            run.step(line, f"{path} is there")
            return None
    if last.startswith("=") and last[1:].isdigit():
        run.step(line, f"nothing is there: {last[1:]}")
        return int(last[1:])
    target = text_of(run, last, "try_files")
    if target.startswith("@"):
        run.step(line, f"nothing is there: {target} answers")
        phases.named_location(run, target, line)
    else:
        path, args = split_args(target)
        run.step(line, f"nothing is there: {target} answers")
        phases.internal_redirect(run, path, args)
    return response.DONE


def _root_of(run: Run) -> str:
    """The folder that a URI is appended to."""
    found = paths.root_level(run.level)
    if found is None:
        return paths.full(run, "html")
    folder = paths.full(run, text_of(run, found[1], found[0]))
    return folder.rstrip("/") if found[0] == "root" else folder


# --- handlers


def produce(run: Run) -> int:
    """Run the content handler; the status to finalize with (0: the answer is sent)."""
    name = run.handler
    if name is None:
        return _files(run)
    if name in PASSES:
        from auditor.servers.nginx import upstream

        return upstream.pass_on(run, name)
    line = run.level.line(name)
    if name == "stub_status":
        if run.method not in ("GET", "HEAD"):
            return 405
        run.step(line, "the status page answers")
        response.send(run, 200, entity=Entity())
        return 0
    if name == "empty_gif":
        if run.method not in ("GET", "HEAD"):
            return 405
        response.send(run, 200, "static", Entity(_GIF_TIME))
        return 0
    if name == "tunnel_pass":
        return 405  # any method but CONNECT, which no URL asks for
    if name in _ECHOES and not any(other.startswith("echo_") and other not in _ECHOES for other in run.level.own):
        status = run.level.own.get("echo_status")
        run.step(line, "the words are sent")
        known = int(status[-1].args[0]) if status and status[-1].args and status[-1].args[0].isdigit() else 200
        response.send(run, known, entity=Entity(), body=gzip.Body(gzip.type_of(run), gzip.LONG))
        return 0
    raise Unpredictable(f"{name} answers", line.place if line is not None else None)


# --- files: index, autoindex, static


def _files(run: Run) -> int:
    if run.uri.endswith("/"):
        if run.method in ("GET", "HEAD", "POST"):
            if run.level.flag("random_index", False):
                raise Unpredictable("random_index chooses a file", run.level.lines("random_index")[-1].place)
            result = _index(run)
            if result is not None:
                return result
        if run.method in ("GET", "HEAD") and run.level.flag("autoindex", False):
            return _autoindex(run)
        if run.method not in ("GET", "HEAD", "POST"):
            return _dav(run) or 405
        run.step(None, "no index file: 403", "directory")
        return 403
    if run.method not in ("GET", "HEAD", "POST"):
        return _dav(run) or 405
    return _static(run)


def _dav(run: Run) -> Result:
    line = run.level.line("dav_methods")
    if line is not None and run.method in line.args:
        raise Unpredictable("dav_methods lets the client change files", line.place)
    return None


def _index(run: Run) -> Result:
    from auditor.servers.nginx import phases

    line = run.level.line("index")
    names = [name for each in run.level.lines("index") for name in each.args] or ["index.html"]
    folder_tested = False
    for name in names:
        text = text_of(run, name, "index")
        if text.startswith("/"):
            run.step(line, f"the index {text} answers")
            phases.internal_redirect(run, text, run.args)
            return response.DONE
        folder = paths.filename(run, evaluate)
        path = folder + text
        state = file_answer(run, path, line).name
        if state == "no-folder":
            return 404
        if state == "missing":
            if not folder_tested:
                folder_state = file_state(run, folder.rstrip("/") or "/", line)
                if folder_state == "missing":
                    run.step(line, f"{folder} does not exist: 404", "index")
                    return 404
                if folder_state == "file":
                    return 500
                folder_tested = True
            continue
        if state == "unreadable":
            return 403
        run.step(line, f"the index {text} is there")
        phases.internal_redirect(run, run.uri + text, run.args)
        return response.DONE
    return None


def _autoindex(run: Run) -> int:
    line = run.level.line("autoindex")
    state = file_state(run, paths.filename(run, evaluate).rstrip("/") or "/", line)
    if state == "directory":
        run.step(line, "the folder is listed")
        response.send(run, 200, "static", Entity(), gzip.Body("text/html", gzip.LONG))
        return 0
    return 403 if state == "unreadable" else 404


def _static(run: Run) -> int:
    path = paths.filename(run, evaluate)
    line = run.level.line("root")
    state = file_answer(run, path, line)
    kind = state.name
    if kind in ("missing", "no-folder"):
        run.step(line, f"{path} does not exist: 404", "static file")
        return 404
    if kind == "unreadable":
        run.step(line, f"{path} cannot be read: 403", "static file")
        return 403
    if kind == "directory":
        target = escape(run.uri) + "/" + (f"?{run.args}" if run.args else "")
        because = decides(line) if line is not None else (Because(DECIDES, None, "root html"),)
        run.location = OutHeader("Location", literal(target, CLIENT), because)
        run.out = [header for header in run.out if header.name != "Location"] + [run.location]
        run.step(line, f"{path} is a folder: 301", "static file")
        return 301
    if run.method == "POST":
        return 405
    run.step(line, f"{path} is sent", "static file")
    if run.is_main:
        run.shared.file = path
    entity = of_file(state.value)
    if not run.level.flag("etag", True):
        entity = entity._replace(etag=None)
    size = gzip.Body(gzip.type_of(run), entity.size) if entity.size is not None else None
    response.send(run, 200, "static", entity, size)
    if run.final_status == 200 and run.is_main and not (size is not None and gzip.rewritten(run, size)):
        run.final_status = range_of(run, entity)
        if run.final_status == 416:
            # The range filter comes after add_header: the lines of the 200 stay, and the error page gets its own.
            run.out, run.final_level = run.final_headers or [], None
            return 416
    return 0
