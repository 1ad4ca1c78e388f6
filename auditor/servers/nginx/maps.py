"""map, geo and split_clients: variables that are looked up (ngx_http_map_module, ngx_http_geo_module)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from auditor.regex import RegexError, compile_regex
from auditor.values import EMPTY, UNKNOWN, Segment, Value, literal, unknown

if TYPE_CHECKING:
    from auditor.servers.nginx.config import Http
    from auditor.servers.nginx.run import Run
    from auditor.servers.nginx.syntax import Directive

Evaluate = Callable[["Run", str], Value]


def is_volatile(run: Run, block: Directive) -> bool:
    """`volatile`: the variable is worked out at each use."""
    return block.name == "map" and _table(run, block).volatile


def _table(run: Run, block: Directive) -> _Table:
    return run.shared.http.memo(("map", id(block)), lambda _: _Table(block))  # type: ignore[return-value]


def value(run: Run, block: Directive, evaluate: Evaluate) -> Value:
    """The value of the variable that `block` defines."""
    if block.name == "map":
        return _map(run, block, evaluate)
    if block.name == "geo":
        return _geo(run, block, evaluate)
    if block.name == "split_clients":
        return _split(run, block, evaluate)
    return unknown(UNKNOWN)


def _split(run: Run, block: Directive, evaluate: Evaluate) -> Value:
    """split_clients: the share in which the hash of the text falls (ngx_http_split_clients_module)."""
    text = evaluate(run, block.args[0]).text
    if text is None:
        return unknown(UNKNOWN)
    number = _murmur(text.encode("latin-1"))
    end = 0
    for line in block.block or []:
        if not line.args:
            continue
        whole, _, part = line.name.rstrip("%").partition(".")
        if line.name != "*":
            if not (whole + part).isdigit():
                return unknown(UNKNOWN)
            end += int(whole + part.ljust(2, "0")) * 0xFFFFFFFF // 10000
        if line.name == "*" or number < end:
            return literal(line.args[0]) if "$" not in line.args[0] else evaluate(run, line.args[0])
    return EMPTY


def _murmur(data: bytes) -> int:
    """MurmurHash2 with the seed of its length (src/core/ngx_murmurhash.c)."""
    mask, factor = 0xFFFFFFFF, 0x5BD1E995
    number = len(data)
    tail = len(data) % 4
    for at in range(0, len(data) - tail, 4):
        word = int.from_bytes(data[at : at + 4], "little") * factor & mask
        number = number * factor & mask ^ ((word ^ word >> 24) * factor & mask)
    if tail:
        number = (number ^ int.from_bytes(data[-tail:], "little")) * factor & mask
    number = (number ^ number >> 13) * factor & mask
    return number ^ number >> 15


class _Table:
    """The entries of a map block, sorted by how they match."""

    __slots__ = ("default", "exact", "head", "hostnames", "regex", "tail", "volatile")

    def __init__(self, block: Directive) -> None:
        self.exact: dict[str, str] = {}
        self.head: dict[str, str] = {}
        self.tail: dict[str, str] = {}
        self.regex: list[tuple[str, bool, str]] = []
        self.default: str | None = None
        lines = block.block or []
        self.volatile = any(line.name == "volatile" and not line.args for line in lines)
        self.hostnames = any(line.name == "hostnames" and not line.args for line in lines)
        for line in lines:
            key = line.name
            if not line.args:
                continue
            result = line.args[0]
            if key == "default":
                self.default = result
            elif key.startswith("~*"):
                self.regex.append((key[2:], True, result))
            elif key.startswith("~"):
                self.regex.append((key[1:], False, result))
            else:
                self._add(key.removeprefix("\\").lower(), result)

    def _add(self, key: str, result: str) -> None:
        if self.hostnames and key.startswith("*."):
            self.head.setdefault(key[1:], result)
        elif self.hostnames and key.startswith("."):
            self.exact.setdefault(key[1:], result)
            self.head.setdefault(key, result)
        elif self.hostnames and key.endswith(".*"):
            self.tail.setdefault(key[:-1], result)
        else:
            self.exact.setdefault(key, result)

    def find(self, low: str) -> str | None:
        """The result for a lower-case key: exact, then wildcards (the longest wins)."""
        found = self.exact.get(low)
        if found is not None or not self.hostnames:
            return found
        return find_wildcard(low, self.head, self.tail)


def find_wildcard(name: str, head: dict[str, str], tail: dict[str, str]) -> str | None:
    """The longest `*.example.com` (kept as ".example.com"), then the longest `mail.*` (kept as "mail.")."""
    at = name.find(".")
    while at != -1:
        if name[at:] in head and at > 0:
            return head[name[at:]]
        at = name.find(".", at + 1)
    at = name.rfind(".")
    while at != -1:
        if name[: at + 1] in tail:
            return tail[name[: at + 1]]
        at = name.rfind(".", 0, at)
    return None


_PATHS = ("$uri", "$document_uri", "$request_uri")


def path_maps(http: Http) -> list[_Table]:
    """The maps that are looked up by the path alone."""
    return http.memo("path maps", _path_maps)  # type: ignore[return-value]


def is_path_map(block: Directive) -> bool:
    return block.name == "map" and block.args[:1] != [] and block.args[0] in _PATHS


def _path_maps(http: object) -> list[_Table]:
    blocks = http.maps.values()  # type: ignore[attr-defined]
    return [_Table(block) for block in blocks if is_path_map(block)]


def marks(http: Http, path: str) -> tuple[str | None, ...]:
    """What the maps of the path make of a path: two paths with the same marks are the same to all of them."""
    found: list[str | None] = []
    for table in path_maps(http):
        result = table.find(path.lower())
        if result is None:
            for pattern, caseless, candidate in table.regex:
                try:
                    if compile_regex(pattern, caseless).search(path) is not None:
                        result = candidate
                        break
                except RegexError:
                    continue
        found.append(result)
    return tuple(found)


def _map(run: Run, block: Directive, evaluate: Evaluate) -> Value:
    source = evaluate(run, block.args[0])
    text = source.text
    if text is None:
        return unknown(UNKNOWN)
    table = _table(run, block)
    if table.hostnames:
        text = text.removesuffix(".")
    result = table.find(text.lower())
    if result is None:
        for pattern, caseless, candidate in table.regex:
            try:
                match = compile_regex(pattern, caseless).search(text)
            except RegexError:
                return unknown(UNKNOWN)
            if match is not None:
                origin = source.sources[0] if len(source.sources) == 1 else UNKNOWN
                run.captures = tuple(literal(group, origin) for group in match.groups)
                for name, group in match.names.items():
                    run.variables[name] = literal(group, origin)
                result = candidate
                break
    if result is None:
        result = table.default
    return EMPTY if result is None else evaluate(run, result)


def _geo(run: Run, block: Directive, evaluate: Evaluate) -> Value:
    import ipaddress  # here: few configurations have a geo block

    address = run.shared.client_address
    if len(block.args) > 1:
        address = evaluate(run, block.args[0]).text
    lines = block.block or []
    if address is None or any(line.name == "include" for line in lines):
        return unknown(UNKNOWN)
    try:
        ip = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        ip = ipaddress.ip_address("255.255.255.255")  # what nginx takes an unreadable address for
    proxies = [line.args[0] for line in lines if line.name == "proxy" and line.args]
    if proxies:
        from auditor.servers.nginx.realip import walk_back

        given = [text for name, text in run.headers if name.lower() == "x-forwarded-for"]
        candidates = [part.strip() for text in given for part in text.split(",")]
        recursive = any(line.name == "proxy_recursive" for line in lines)
        ip = ipaddress.ip_address(walk_back(str(ip), candidates, proxies, recursive))
    deleted = {line.args[0]: at for at, line in enumerate(lines) if line.name == "delete" and line.args}
    best = (-1, "")
    for at, line in enumerate(lines):
        if not line.args or line.name in ("proxy", "delete") or at < deleted.get(line.name, -1):
            continue
        if line.name == "default":
            best = best if best[0] >= 0 else (-1, line.args[0])
            continue
        size = _geo_match(line.name, ip)
        # A network that is named twice has the later value; of ranges the later one counts.
        if size is not None and size >= best[0]:
            best = (size, line.args[0])
    return Value((Segment("config", best[1]),)) if best[1] else EMPTY


def _geo_match(entry: str, ip: object) -> int | None:
    """How narrow an entry of geo that holds an address is: the length of its prefix, 0 for a range; else None."""
    import ipaddress

    try:
        first, dash, last = entry.partition("-")
        if dash:
            start, end = ipaddress.ip_address(first), ipaddress.ip_address(last)
            return 0 if start.version == ip.version and int(start) <= int(ip) <= int(end) else None  # type: ignore[attr-defined, call-overload]
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None
    return network.prefixlen if ip in network else None
