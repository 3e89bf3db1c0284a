"""What the parser of request heads promises: one meaning or none, and what is sent on has that meaning alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_core.offline.http_head import (
    LONGEST,
    Head,
    Malformed,
    closing,
    is_interim,
    parse_chunk_size,
    parse_head,
    split_answer,
)

GET = b"GET http://a.example/ HTTP/1.1\r\n"
HOST = b"Host: a.example\r\n"
END = b"\r\n"

SMUGGLING = {
    "a bare line feed after a field": GET + b"Host: a.example\n\r\n",
    "a bare line feed inside a value": GET + HOST + b"X: a\nY: b\r\n" + END,
    "a bare carriage return": GET + HOST + b"X: a\rY: b\r\n" + END,
    "a NUL": GET + HOST + b"X: a\0b\r\n" + END,
    "a folded line": GET + HOST + b"X: a\r\n b\r\n" + END,
    "a first line that is folded": GET + b" Host: a.example\r\n" + END,
    "space before the colon": GET + b"Host : a.example\r\n" + END,
    "space before a length's colon": GET + HOST + b"Content-Length : 3\r\n" + END,
    "no colon": GET + HOST + b"Content-Length 3\r\n" + END,
    "a name outside a token": GET + HOST + b"Content(Length): 3\r\n" + END,
    "an empty name": GET + HOST + b": 3\r\n" + END,
    "two hosts": GET + HOST + HOST + END,
    "two hosts in other spellings": GET + HOST + b"hOST: b.example\r\n" + END,
    "no host": GET + END,
    "two lengths": GET + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n" + END,
    "a list of lengths": GET + HOST + b"Content-Length: 3, 3\r\n" + END,
    "a signed length": GET + HOST + b"Content-Length: +3\r\n" + END,
    "a negative length": GET + HOST + b"Content-Length: -1\r\n" + END,
    "a hexadecimal length": GET + HOST + b"Content-Length: 0x3\r\n" + END,
    "a length with an underscore": GET + HOST + b"Content-Length: 1_0\r\n" + END,
    "a length in other digits": GET + HOST + "Content-Length: \u0663\r\n".encode() + END,
    "an endless length": GET + HOST + b"Content-Length: " + b"9" * 19 + b"\r\n" + END,
    "length and coding": GET + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n" + END,
    "coding and length": GET + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n" + END,
    "two codings": GET + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n" + END,
    "a list of codings": GET + HOST + b"Transfer-Encoding: gzip, chunked\r\n" + END,
    "a coding that is none": GET + HOST + b"Transfer-Encoding: xchunked\r\n" + END,
    "a coding in quotes": GET + HOST + b'Transfer-Encoding: "chunked"\r\n' + END,
    "a coding with a parameter": GET + HOST + b"Transfer-Encoding: chunked;q=1\r\n" + END,
    "a coding with a vertical tab": GET + HOST + b"Transfer-Encoding: \x0bchunked\r\n" + END,
    "a coding in HTTP/1.0": b"POST http://a.example/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" + END,
    "another version": b"GET http://a.example/ HTTP/2.0\r\n" + HOST + END,
    "no version": b"GET http://a.example/\r\n" + HOST + END,
    "a version in small letters": b"GET http://a.example/ http/1.1\r\n" + HOST + END,
    "two spaces": b"GET  http://a.example/ HTTP/1.1\r\n" + HOST + END,
    "a tab": b"GET\thttp://a.example/ HTTP/1.1\r\n" + HOST + END,
    "a space in the target": b"GET http://a.example/a b HTTP/1.1\r\n" + HOST + END,
    "a target outside ASCII": "GET http://a.example/ä HTTP/1.1\r\n".encode() + HOST + END,
    "an empty first line": END + GET + HOST + END,
    "a method that is none": b"G@T http://a.example/ HTTP/1.1\r\n" + HOST + END,
    "a request inside the head": GET + HOST + END + GET + HOST + END,
    "no end": GET + HOST,
}


@pytest.mark.parametrize("data", SMUGGLING.values(), ids=SMUGGLING)
def test_what_has_two_meanings_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        parse_head(data)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "data",
    [GET + HOST + b"X: " + b"a" * LONGEST + b"\r\n" + END, GET + HOST + b"X: a\r\n" * 101 + END],
    ids=["long", "many fields"],
)
def test_a_bomb_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        parse_head(data)
    assert refused.value.status == 431


def test_a_head_is_read_and_sent_on_for_one_request() -> None:
    lines = (
        b"PUT http://a.example:8080/x?y HTTP/1.1\r\nHost: other.example\r\nContent-Length: 3\r\nX-One:  1 \r\n"
        b"Connection: keep-alive, X-Two\r\nX-Two: 2\r\nKeep-Alive: 5\r\nProxy-Authorization: secret\r\nTE: trailers\r\n"
        b"Upgrade: h2c\r\nExpect: 100-continue\r\n\r\n"
    )
    head = parse_head(lines)
    assert (head.method, head.target, head.length, head.chunked) == ("PUT", "http://a.example:8080/x?y", 3, False)
    assert (head.host, head.expects_continue) == ("other.example", True)
    assert head.forwarded("/x?y", "a.example:8080") == (
        b"PUT /x?y HTTP/1.1\r\nHost: a.example:8080\r\nContent-Length: 3\r\nX-One: 1\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize("named", ["Content-Length", "Transfer-Encoding", "Host"])
def test_connection_cannot_hide_how_a_body_ends(named: str) -> None:
    framing = b"Transfer-Encoding: chunked\r\n" if named == "Transfer-Encoding" else b"Content-Length: 5\r\n"
    head = parse_head(GET + HOST + framing + b"Connection: " + named.encode() + b"\r\n" + END)
    again = parse_head(head.forwarded("/", "a.example"))
    assert (again.length, again.chunked, again.host) == (head.length, head.chunked, "a.example")


TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABC-_!", min_size=1, max_size=12)
VALUE = st.text([chr(code) for code in (*range(0x21, 0x7F), 0x20, 0x09, 0x80, 0xFF)], max_size=20)
FIELDS = st.lists(
    st.tuples(
        st.one_of(TOKEN, st.sampled_from(["Content-Length", "Transfer-Encoding", "Host", "Connection", "Upgrade"])),
        st.one_of(VALUE, st.sampled_from(["3", "chunked", "close", "Content-Length", "a.example"])),
    ),
    max_size=8,
)
NOISE = st.lists(
    st.sampled_from(
        [b"\r\n", b"\n", b"\r", b" ", b":", b"\0", b"GET / HTTP/1.1", b"Host: a", b"Content-Length: 1", b"chunked"]
    ),
    max_size=12,
).map(b"".join)


def sent_on(data: bytes) -> None:
    """What is read of ``data``, if anything is, is what is read again of what is sent on."""
    try:
        head = parse_head(data)
    except Malformed:
        return
    again = parse_head(head.forwarded("/", "a.example"))
    assert (again.method, again.length, again.chunked) == (head.method, head.length, head.chunked)
    names = {name.lower() for name, _ in again.fields}
    assert names <= {name.lower() for name, _ in head.fields} | {"host", "connection"}
    assert not names & {"upgrade", "te", "keep-alive", "proxy-authorization", "proxy-connection"}


@given(FIELDS)
def test_what_is_sent_on_means_what_was_read(fields: list[tuple[str, str]]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    sent_on(GET + lines.encode("latin-1") + END)


@given(st.one_of(st.binary(max_size=200), NOISE))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    sent_on(data + END + END)
    sent_on(GET + HOST + data + END + END)


@pytest.mark.parametrize("line", [b"5\r\n", b"0\r\n", b"fF\r\n", b"00000005\r\n"])
def test_a_chunk_begins_with_its_size(line: bytes) -> None:
    assert parse_chunk_size(line) == int(line, 16)


@pytest.mark.parametrize(
    "line",
    [b"5\n", b"5;x=y\r\n", b" 5\r\n", b"5 \r\n", b"+5\r\n", b"0x5\r\n", b"-1\r\n", b"\r\n", b"123456789\r\n", b"5\r"],
)
def test_a_chunk_that_begins_otherwise_is_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        parse_chunk_size(line)


@pytest.mark.parametrize(
    ("head", "sent"),
    [
        (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\n"),
        (
            b"HTTP/1.1 200 OK\r\nconnection : keep-alive\r\nKeep-Alive: timeout=5\r\nA: b\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\n",
        ),
        (b"HTTP/1.0 200 OK\n\n", b"HTTP/1.0 200 OK\nConnection: close\r\n\n"),
        (b"ICY 200 OK\r\n\r\n", b"ICY 200 OK\r\n\r\n"),
    ],
)
def test_an_answer_says_that_its_connection_ends(head: bytes, sent: bytes) -> None:
    assert split_answer(head[:-1]) is None or b"\n\n" in head[:-1]
    assert split_answer(head + b"a\r\n\r\nb") == (head, b"a\r\n\r\nb")
    assert closing(head) == sent


def test_after_an_interim_answer_comes_another() -> None:
    assert is_interim(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert not is_interim(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    assert not is_interim(b"HTTP/1.1 200 OK\r\n\r\n")


def test_a_head_without_fields_is_read_in_http_1_0() -> None:
    assert parse_head(b"GET http://a.example/ HTTP/1.0\r\n\r\n") == Head("GET", "http://a.example/", ())
