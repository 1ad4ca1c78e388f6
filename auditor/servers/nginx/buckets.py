"""nginx's hash tables, as far as their layout shows outside (src/core/ngx_hash.c).

With `ignore_invalid_headers off` a header with an odd name is looked up among the names of proxy_set_header by a hash
of its valid characters only. Whether it is found depends on whether that hash happens to lead to the same bucket.
"""

from __future__ import annotations

_BUCKET = 64 - 8  # bytes for elements in a bucket: proxy_headers_hash_bucket_size, less the end mark
_MAX_SIZE = 512
_MASK = (1 << 64) - 1


def key(text: str) -> int:
    """ngx_hash_key of a lower-case text."""
    value = 0
    for char in text:
        value = (value * 31 + ord(char)) & _MASK
    return value


def table_size(names: list[str]) -> int:
    """The number of buckets that ngx_hash_init chooses for these lower-case names."""
    start = max(1, len(names) // (64 // 16))
    for size in range(start, _MAX_SIZE + 1):
        filled = [0] * size
        for name in names:
            bucket = key(name) % size
            filled[bucket] += 8 + (len(name) + 2 + 7) // 8 * 8
            if filled[bucket] > _BUCKET:
                break
        else:
            return size
    return _MAX_SIZE


def found_anyway(names: list[str], odd: str) -> bool:
    """Whether a look-up of the odd header name `odd`, by the hash of its valid characters, finds it among `names`."""
    low = odd.lower()
    valid = "".join(char for char in low if char.isascii() and (char.isalnum() or char == "-"))
    size = table_size(names)
    return key(valid) % size == key(low) % size
