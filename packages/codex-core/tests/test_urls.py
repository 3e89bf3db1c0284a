"""Promises of codex_core.urls: one request has one URL, whatever its spelling, and a pattern covers what it says."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_core.errors import UrlError
from codex_core.urls import RequestUrl, canonical_host, canonical_url, parse_pattern, parse_url

LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
IPV4 = st.ip_addresses(v=4).map(str)
IPV6 = st.ip_addresses(v=6).map(lambda address: f"[{address}]")
HOSTS = st.one_of(NAMES, IPV4, IPV6)
SEGMENTS = st.text(st.sampled_from("abzAZ09-._~!$&'()+,;=:@é*% "), max_size=5).filter(
    lambda text: text not in {".", ".."} and not text.startswith((".;", "..;"))
)
PATHS = st.lists(SEGMENTS, max_size=4).map(lambda parts: "/" + "/".join(parts))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _encoded(path: str) -> str:
    """``path`` with what must be encoded, so that it has one meaning."""
    return "".join(char if char not in "% " else f"%{ord(char):02X}" for char in path)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("https://h.example", "https://h.example:443/"),
        ("http://h.example", "http://h.example:80/"),
        ("HTTPS://H.Example.:443/A/b?q=1#f", "https://h.example:443/A/b"),
        ("https://h:/x", "https://h:443/x"),
        ("https://h/a/./b/../c/..", "https://h:443/a/"),
        ("https://h/../../etc", "https://h:443/etc"),
        ("https://h/%2e%2E/x", "https://h:443/x"),
        ("https://h/%7Euser/%c3%A9/é", "https://h:443/~user/%C3%A9/%C3%A9"),
        ("https://h/a%2fb", "https://h:443/a%2Fb"),
        ("https://h/a*b", "https://h:443/a%2Ab"),
        ("https://h//a//", "https://h:443//a//"),
        ("https://h//a/../b", "https://h:443//b"),
        ("https://h/x/../a%2fb", "https://h:443/a%2Fb"),
        ("http://127.1/", "http://127.0.0.1:80/"),
        ("http://0x7f.0.0.1/", "http://127.0.0.1:80/"),
        ("http://0177.0.0.01/", "http://127.0.0.1:80/"),
        ("http://2130706433/", "http://127.0.0.1:80/"),
        ("http://10.0.0.1./", "http://10.0.0.1:80/"),
        ("https://[FD00:0::1]:8443/", "https://[fd00::1]:8443/"),
        ("http://[::ffff:10.0.0.1]/", "http://10.0.0.1:80/"),
        ("http://[::ffff:a00:1]/", "http://10.0.0.1:80/"),
    ],
)
def test_each_spelling_has_its_canonical_form(written: str, canonical: str) -> None:
    assert canonical_url(written) == canonical


@pytest.mark.parametrize(
    ("written", "message", "hint"),
    [
        ("h.example", "'h.example' is not a URL", "write scheme://host:port/path"),
        ("ftp://h/", "'ftp://h/' is neither http nor https", "a policy judges http and https requests"),
        ("https:///x", "'https:///x' names no host", "write scheme://host:port/path"),
        ("https://h:0/", "the port 0 is not between 1 and 65535", "write the port of the endpoint"),
        ("https://h:65536/", "the port 65536 is not between 1 and 65535", "write the port of the endpoint"),
        (
            "https://u:p@h/",
            "the URL has user information before its host",
            "write 'https://h/', and name credentials in the store",
        ),
        ("https://bücher.example/", "the host 'bücher.example' is not plain ASCII", "write 'xn--bcher-kva.example'"),
        ("https://a%2eb/", "the host 'a%2eb' is not plain ASCII", "write the host without percent-encoding"),
        (
            "https://1.2.3.4.5/",
            "the host '1.2.3.4.5' is neither a name nor an IPv4 address",
            "write four decimal parts",
        ),
        ("https://256.0.0.1/", "the IPv4 address '256.0.0.1' is out of range", "write four decimal parts of 0 to 255"),
        ("https://08.0.0.1/", "the IPv4 address '08.0.0.1' has a part that is no number", "write four decimal parts"),
        ("https://[fe80::1%25eth0]/", "[fe80::1%25eth0] names an interface", "write [fe80::1]"),
        ("https://-a/", "'-a' is not a host name", "use letters, digits, hyphens and dots"),
        ("https://h..example/", "'h..example' is not a host name", "use letters, digits, hyphens and dots"),
        ("https://h/%", "the path has a '%' that begins no escape", "write '%25' for a percent sign"),
        ("https://h/%00", "the path has the encoded control character %00", "write the path without it"),
        (
            "https://h/a%2F..%2Fb",
            "the path segment 'a%2F..%2Fb' hides a dot segment",
            "write the path without '.' and '..'",
        ),
        (
            "https://h/a%2F..;%2Fb",
            "the path segment 'a%2F..;%2Fb' hides a dot segment",
            "write the path without '.' and '..'",
        ),
        (
            "https://h/a//../b",
            "the dot segments in the path '/a//../b' lead to different places, depending on who reads it",
            "write the path without '.' and '..'",
        ),
        (
            "https://h/a%2Fb/../c",
            "the dot segments in the path '/a%2Fb/../c' lead to different places, depending on who reads it",
            "write the path without '.' and '..'",
        ),
        ("https://h/..;/b", "the path segment '..;' hides a dot segment", "write the path without '.' and '..'"),
        (
            "https://h/a\\b",
            "'https://h/a\\\\b' has a backslash or a control character",
            "write the path with '/' and percent-encoding",
        ),
        ("https://h/\udc80", "the path has a lone surrogate", "write the path in UTF-8"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(written: str, message: str, hint: str) -> None:
    with pytest.raises(UrlError) as raised:
        parse_url(written)
    assert (raised.value.message, raised.value.hint) == (message, hint)


@given(st.text())
def test_every_text_is_a_url_or_a_url_error(text: str) -> None:
    for written in (text, f"https://{text}", f"http://h/{text}", f"http://[{text}]:80/"):
        with suppress(UrlError):
            canonical = canonical_url(written)
            assert canonical_url(canonical) == canonical
            assert re.fullmatch(r"https?://[!-~]+:[0-9]+/[!-~]*", canonical)


@given(HOSTS, st.integers(1, 65535), PATHS)
def test_canonical_form_is_its_own(host: str, port: int, path: str) -> None:
    canonical = canonical_url(f"https://{host}:{port}{_encoded(path)}")
    assert canonical_url(canonical) == canonical
    assert parse_pattern(canonical).matches(parse_url(canonical))


@given(IPV4, st.data())
def test_every_spelling_of_an_ipv4_address_is_one_host(address: str, data: st.DataObject) -> None:
    value = int(ipaddress.IPv4Address(address))
    count = data.draw(st.integers(1, 4))
    parts = [value >> 8 * (3 - index) & 255 for index in range(count - 1)] + [value & (1 << 8 * (5 - count)) - 1]
    forms = st.sampled_from(["{}", "{:#x}", "0{:o}", "0X{:X}"])
    written = ".".join(data.draw(forms).format(part) for part in parts)
    assert canonical_host(written) == canonical_host(f"{written}.") == address
    assert canonical_host(f"[::ffff:{address}]") == address


@pytest.mark.parametrize(
    ("pattern", "covered", "not_covered"),
    [
        (
            "https://h.example:443/a/*/c",
            ["https://h.example/a/b/c"],
            [
                "https://h.example/a//c",
                "https://h.example/a/b%2Fb/c",
                "https://h.example/a/b/b/c",
                "https://h.example/a/c",
                "http://h.example:443/a/b/c",
                "https://h.example:8443/a/b/c",
            ],
        ),
        (
            "https://h.example:443/a/**",
            ["https://h.example/a/", "https://h.example/a/b/c"],
            ["https://h.example/a", "https://h.example/ab/c", "https://h.example/a/../b"],
        ),
        (
            "https://h:443/**/x.bin",
            ["https://h/a/x.bin", "https://h/a/b/x.bin"],
            ["https://h/x.bin", "https://h/a/xbin"],
        ),
        ("https://h:443/f*", ["https://h/f", "https://h/foo?q"], ["https://h/f/o", "https://h/"]),
        ("https://h:443/a%2fb", ["https://h/a%2Fb", "https://h/a/b"], ["https://h/a%252Fb", "https://h/a%5Cb"]),
        ("https://h:443//a/*", ["https://h//a/b", "https://h/a/b"], ["https://h//a//b", "https://h//a/b%2Fc"]),
        ("https://h:443/a%2ab", ["https://h/a*b"], ["https://h/axb"]),
        (
            "https://*.corp.example:443/**",
            ["https://a.corp.example/", "https://A.Corp.Example./x"],
            [
                "https://a.b.corp.example/",
                "https://corp.example/",
                "https://acorp.example/",
                "https://a.corp.example.org/",
            ],
        ),
        (
            "http://10.1.0.0/16:80/**",
            ["http://10.1.2.3/", "http://[::ffff:10.1.2.3]/", "http://10.66051/"],
            ["http://10.2.0.1/", "http://h/", "http://[fd00::1]/"],
        ),
        ("http://[fd00::/8]:80/**", ["http://[fd12::1]/"], ["http://[fe00::1]/", "http://10.0.0.1/", "http://fd00/"]),
        ("http://[::ffff:10.0.0.1]:80/", ["http://10.0.0.1/"], ["http://10.0.0.2/"]),
        ("HTTPS://H.Example.:443/A/%7e", ["https://h.example/A/~"], ["https://h.example/a/~"]),
    ],
)
def test_pattern_covers_what_it_says_and_no_more(pattern: str, covered: list[str], not_covered: list[str]) -> None:
    rule = parse_pattern(pattern)
    assert [url for url in covered if not rule.matches(parse_url(url))] == []
    assert [url for url in not_covered if rule.matches(parse_url(url))] == []


@pytest.mark.parametrize(
    ("path", "readings"),
    [
        ("/a/b/", ("/a/b/",)),
        ("/@s%2fn", ("/@s%2Fn", "/@s/n")),
        ("/a%5cb", ("/a%5Cb", "/a/b")),
        ("//a///b", ("//a///b", "/a/b")),
        ("/%2Fa", ("/%2Fa", "//a", "/a")),
        ("/a%2F%5Cb", ("/a%2F%5Cb", "/a/%5Cb", "/a%2F/b", "/a//b", "/a/b")),
        ("/a%252Fb", ("/a%252Fb",)),
    ],
)
def test_readings_are_what_servers_may_take_a_path_for(path: str, readings: tuple[str, ...]) -> None:
    assert parse_url(f"https://h{path}").readings == readings


def test_pattern_touches_a_path_that_it_covers_in_some_reading_only() -> None:
    rule = parse_pattern("https://h:443/pub/*")
    for path in ("/pub/a%2Fb", "//pub/a", "/pub%2Fa", "/pub%5Ca"):
        url = parse_url(f"https://h{path}")
        assert (rule.touches_path(url), rule.matches_path(url)) == (True, False)


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("h.example", "write scheme://host:port/path, such as https://a.example:443/**"),
        ("ftp://h:21/**", "a policy judges http and https requests"),
        ("https://h/**", "write 'https://h:443/**'"),
        ("https://h:443", "write 'https://h:443/**' for all of it"),
        ("https://h:443/a?b", "remove it: a policy judges the path alone"),
        ("https://h:443/a/../b", "write the path without '.' and '..'"),
        ("https://a.*.b:443/", "write '*.example.org' or an exact host"),
        ("https://*:443/", "write '*.example.org' or an exact host"),
        ("https://*.0.0.1:443/", "write a network, such as 10.0.0.0/8"),
        ("https://10.0.0.1/8:443/", "write 10.0.0.0/8 or [fd00::/8]"),
        ("https://[::ffff:10.0.0.0/104]:443/", "write 10.0.0.0/8, which covers both spellings"),
        ("https://bücher.example:443/", "write 'xn--bcher-kva.example'"),
        ("https://h:0/", "write the port of the endpoint"),
        ("https://h:443/a\\b", "write the path with '/' and percent-encoding"),
    ],
)
def test_what_is_no_pattern_says_what_to_write(pattern: str, hint: str) -> None:
    with pytest.raises(UrlError) as raised:
        parse_pattern(pattern)
    assert raised.value.hint == hint


@given(st.text())
def test_every_text_is_a_pattern_or_a_url_error(text: str) -> None:
    for written in (text, f"https://{text}:443/**", f"http://h:80/{text}"):
        with suppress(UrlError):
            pattern = parse_pattern(written)
            again = parse_pattern(f"{pattern.scheme}://{_bracketed(pattern.host)}:{pattern.port}{pattern.path}")
            assert again == pattern


@given(SEGMENTS, SEGMENTS)
def test_one_star_stays_in_its_segment_and_two_do_not(first: str, second: str) -> None:
    deep = parse_url(f"https://h/{_encoded(first)}/{_encoded(second)}")
    flat = parse_url(f"https://h/{_encoded(first)}")
    one, two = parse_pattern("https://h:443/*"), parse_pattern("https://h:443/**")
    assert (one.matches(flat), one.matches(deep)) == (True, False)
    assert (two.matches(flat), two.matches(deep)) == (True, True)


@given(LABELS, NAMES, LABELS)
def test_star_in_a_host_is_one_label(first: str, name: str, extra: str) -> None:
    pattern = parse_pattern(f"https://*.{name}:443/**")
    assert pattern.matches_origin(RequestUrl("https", f"{first}.{name}", 443, "/"))
    assert not pattern.matches_origin(RequestUrl("https", f"{extra}.{first}.{name}", 443, "/"))
    assert not pattern.matches_origin(RequestUrl("https", name, 443, "/"))


@given(st.ip_addresses(), st.integers(0, 128), st.ip_addresses())
def test_network_covers_its_addresses_and_no_others(
    inside: ipaddress.IPv4Address | ipaddress.IPv6Address,
    length: int,
    other: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    network = ipaddress.ip_network((inside, length % (inside.max_prefixlen + 1)), strict=False)
    written = f"[{network}]" if network.version == 6 else str(network)
    try:
        pattern = parse_pattern(f"https://{written}:443/**")
    except UrlError:
        assert network.version == 6
        assert network.network_address.ipv4_mapped is not None
        return
    for address in (inside, other):
        host = canonical_host(f"[{address}]" if address.version == 6 else str(address))
        covered = ipaddress.ip_address(host) in network  # by what the host is, not by how it was written
        assert pattern.matches_origin(RequestUrl("https", host, 443, "/")) == covered
