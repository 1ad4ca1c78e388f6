"""A server that refuses a configuration: its own message, with the file and line that the user knows."""

from __future__ import annotations

import pytest

from tests.probes.commands import HANGING, Place

BOM = b"\xef\xbb\xbf"
SERVER = "server {{ listen 80; location / {{ {} }} }}"

# What stands in the http block from its line 3 on, the line that the server complains of, and a part of what it says.
REFUSED = {
    "too few arguments": (SERVER.format("\nproxy_set_header A;"), 4, "invalid number of arguments"),
    "a duplicate": (SERVER.format("root /a;\n\nroot /b;"), 5, '"root" directive is duplicate'),
    "a bad code": (SERVER.format("return 999999;"), 3, "invalid return code"),
    "a bad regex": ("\n\nserver { listen 80; location ~ ( { return 200; } }", 5, "missing )"),
    "two of a location": ("server { listen 81; location /a { }\n\nlocation /a { } }", 5, "duplicate"),
    "a wrong place": ("\nproxy_pass http://app;", 4, '"proxy_pass" directive is not allowed here'),
    "a misspelt name": (SERVER.format("\nproxy_set_heade A b;"), 4, 'unknown directive "proxy_set_heade"'),
    "a bad unit": (SERVER.format("client_max_body_size 1x;"), 3, "invalid value"),
    "an unknown variable": (SERVER.format("return 200;\n add_header A $nothing_defines_this;"), 4, "unknown"),
    # Zones are looked for when the block http has been read.
    "an unknown zone": (SERVER.format("proxy_cache nowhere;\n\n\n"), 7, 'zone "nowhere" is unknown'),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_the_line_is_the_users(place: Place, name: str) -> None:
    text, line, said = REFUSED[name]
    config = place.write("nginx.conf", f"events {{}}\nhttp {{\n{text}\n}}\n")
    place.run(config).assert_fails(3, f"{config}:{line}: ", said)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_line_of_an_included_file(place: Place, end: str) -> None:
    included = place.write(
        "sites/site.conf", end.join(["# a site", "server {", "listen 80;", "return 999999;", "}", ""])
    )
    config = place.http("# the sites\ninclude sites/*.conf;")
    place.run(config).assert_fails(3, f"{included}:4: ", "invalid return code")


def test_the_line_behind_a_block_that_was_moved(place: Place) -> None:
    """Lines that the sandbox replaces keep their number."""
    text = 'upstream app {\n  server a.example;\n  server b.example:81\n    backup;\n}\nlog_format a "x\ny";\n'
    config = place.http(
        text + "server {\n listen 80\n default_server;\n location / { proxy_pass http://app; }\n return 1234;\n}"
    )
    place.run(config).assert_fails(3, f"{config}:14: ", "invalid return code")


@pytest.mark.parametrize("where", ["nginx.conf", "part.conf"])
def test_a_byte_order_mark(place: Place, where: str) -> None:
    """nginx takes it for a part of the first word."""
    main, part = b"http {\ninclude part.conf;\n}\nevents {}\n", b"\nserver { listen 80; }\n"
    config = place.write("nginx.conf", (BOM if where == "nginx.conf" else b"") + main)
    path = place.write("part.conf", (BOM if where == "part.conf" else b"") + part)
    named = config if where == "nginx.conf" else path
    place.run(config).assert_fails(3, f"{named}:1: ", "byte order mark")


def test_nothing_of_a_message_drives_the_terminal(place: Place) -> None:
    done = place.run(place.http(SERVER.format('return 200 "a"; add_header A $b; client_max_body_size "\x1b[31m1x";')))
    assert done.status == 3 and "\x1b" not in done.err, done


def test_what_is_no_fault_of_the_configuration(place: Place) -> None:
    """A server that does not start, whatever it is given."""
    says = 'echo "nginx: [emerg] 12#34: mmap() failed (12: Cannot allocate memory)" >&2; exit 1\n'
    fake = place.write("fake/nginx", HANGING.partition(": >started")[0] + says, 0o755)
    done = place.run(place.http(SERVER.format("return 200;")), "--nginx", fake)
    done.assert_fails(4, "mmap() failed (12: Cannot allocate memory)")


def test_a_server_that_says_nothing(place: Place) -> None:
    fake = place.write("fake/nginx", HANGING.partition(": >started")[0] + "exit 7\n", 0o755)
    done = place.run(place.http(SERVER.format("return 200;")), "--nginx", fake)
    done.assert_fails(4, "no message", "exit status 7")
