"""The world that knows what lies on the deployed machine, as far as its files are at hand."""

from __future__ import annotations

from auditor.files import Files
from auditor.world import Answer, Question

_TEXTS = {
    "file": "the file exists",
    "directory": "a directory is there",
    "missing": "nothing is there",
    "no-folder": "nothing is there: a part of the path is a file",
    "unreadable": "the workers cannot read it",
    "accepted": "the credentials are accepted",
    "refused": "the credentials are refused",
    "unknown-user": "the user is not in the user file",
    "no-file": "the user file does not exist",
    "no-groups": "the group file cannot be read",
}


class FileWorld:
    """The world that knows what files of the deployed machine say: it answers questions "file", "credentials" and
    "groups". `server` is how user files are read: "nginx" or "apache" (auditor.passwords)."""

    def __init__(self, files: Files, server: str = "nginx") -> None:
        self._files = files
        self._server = server
        self._known: dict[Question, Answer | None] = {}

    def ask(self, question: Question) -> Answer | None:
        if question not in self._known:
            self._known[question] = self._ask(question)
        return self._known[question]

    def _ask(self, question: Question) -> Answer | None:
        name = None
        if question.kind == "file":
            name = self._files.state(question.subject) or self._files.gap(question.subject)
        elif question.kind == "credentials" and question.subject.startswith("/"):  # not a key or a certificate
            name = self._credentials(question.subject, question.detail)
        elif question.kind == "groups":
            return self._groups(question.subject, question.detail)
        value = self._files.facts(question.subject) if name == "file" else None
        return Answer(name, _TEXTS[name], value) if name else None

    def _credentials(self, path: str, header: str) -> str | None:
        from auditor.passwords import check_hash, decode_basic, find_hash

        given = decode_basic(header, self._server)
        if given is None:
            return "refused"
        state = self._files.state(path)
        if state == "missing":
            return "no-file"
        if state in ("directory", "unreadable", "no-folder"):
            return "unreadable"
        text = self._files.text(path)
        if text is None:
            return None
        stored = find_hash(text, given[0], self._server)
        if stored is None:
            return "unknown-user" if self._server == "apache" else "refused"
        accepted = check_hash(stored, given[1], self._server)
        return None if accepted is None else "accepted" if accepted else "refused"

    def _groups(self, path: str, user: str) -> Answer | None:
        """The groups of a user in an AuthGroupFile, as the answer's value; none where the file cannot be read."""
        from auditor.user_file import groups_of

        if self._files.state(path) in ("missing", "directory", "unreadable", "no-folder"):
            return Answer("no-file", _TEXTS["no-groups"], frozenset())
        text = self._files.text(path)
        if text is None:
            return None
        groups = groups_of(text, user)
        return Answer("known", f"the user is in {', '.join(sorted(groups)) or 'no group'}", groups)
