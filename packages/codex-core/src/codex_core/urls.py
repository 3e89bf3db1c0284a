"""Canonical request URLs, and the URL patterns of policy rules.

Every spelling of one request has one canonical form, ``scheme://host:port/path``, which is all that a policy judges:
lower case, an explicit port, no trailing dot, IPv4 in four decimal parts however it was written (inet_aton(3)),
IPv4-mapped IPv6 as IPv4, percent-encoding and dot segments normalised (RFC 3986, 6.2.2). The query is left out. What
two readers could understand differently is refused: user information, a backslash, an encoded control character, dot
segments that an encoded slash hides or that lead elsewhere once empty segments are merged, a host outside ASCII.

An encoded slash or backslash and an empty segment are not refused, because names such as npm's ``/@scope%2Fname`` need
them, but servers differ in what they make of them. Such a path has several readings, and so has a pattern that is
written like that: a deny counts if it matches in any reading, an allow only if it matches in all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from codex_core.errors import UrlError
from codex_core.lazy import lazy

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:\[\]/]*(?:/[0-9]+)?)(?::([0-9]*))?")
_PATTERN = re.compile(
    r"([A-Za-z]+)://(\[[^\]]*\]|[^:\[\]/]*(?:/[0-9]{1,3})?)(?::([0-9]+))?(/[^?#]*)?([?#].*)?", re.DOTALL
)
_SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")
_PLAIN_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.%]*\]|[^:@]*)(?::[0-9]*)?")
_UNREADABLE = re.compile(r"[\x00-\x1f\x7f\\]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})?")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PLAIN_IN_PATH = _UNRESERVED | frozenset("!$&'()+,;=:@")
_PARAMETERS = re.compile(r";[^/]*")
_SLASHES = re.compile(r"//+")
_HOST = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
"""Most names: in lower case, and with a last label that is no number."""
_PATH = r"(?:/(?:[A-Za-z0-9_~!$&'()+,;=:@-][A-Za-z0-9._~!$&'()+,;=:@-]*)?)+"
"""Most paths: nothing to encode, to decode or to remove."""
_NORMAL_PATH = re.compile(_PATH)
_NORMAL_URL = re.compile(f"(https?)://({_HOST}):([1-9][0-9]{{0,4}})({_PATH})")
_LONGEST_HOST, _HIGHEST_PORT = 253, 65535


@dataclass(frozen=True)
class RequestUrl:
    """A request's endpoint in canonical form; ``str()`` writes it, IPv6 in brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """``scheme://host:port``, what a connection can see of the request."""
        return f"{self.scheme}://{bracketed(self.host)}:{self.port}"

    @lazy
    def readings(self) -> tuple[str, ...]:
        """What servers may take the path for: itself, alone but for encoded slashes, empty segments and parameters."""
        return _readings(self.path)

    @property
    def address(self) -> IPv4Address | IPv6Address | None:
        """The host as an address; None if it is a name."""
        if ":" not in self.host and not self.host[-1].isdigit():  # a name may end with a digit, an address must
            return None
        import ipaddress  # here, because few rules name a network and every import of codex_core pays for the module

        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    def __str__(self) -> str:
        return self.origin + self.path


def parse_url(text: str) -> RequestUrl:
    """The canonical form of a request's URL; UrlError, with the form to write instead, if it has none."""
    normal = _NORMAL_URL.fullmatch(text)
    if normal is not None and len(normal[2]) <= _LONGEST_HOST and int(normal[3]) <= _HIGHEST_PORT:
        return RequestUrl(normal[1], normal[2], int(normal[3]), normal[4])
    found = _URL.fullmatch(text)
    if found is None:
        raise UrlError(f"{redacted(text)!r} is not a URL", hint="write scheme://host:port/path")
    scheme, authority, path = found[1].lower(), found[2], found[3]
    _check_scheme(scheme, text)
    _check_characters(authority + path, text)
    host, port = _split_authority(authority, text)
    return RequestUrl(scheme, canonical_host(host), _port(port or str(DEFAULT_PORTS[scheme])), canonical_path(path))


def redacted(text: str) -> str:
    """What of a URL, however it is spelled, may be shown and recorded: no user information, query or fragment.

    A password may hold any character: where it cannot be told what is one, nothing is shown but the scheme.
    """
    found = _SCHEME.match(text)
    scheme = found[0] if found else ""
    rest = re.split("[?#]", text[len(scheme) :], maxsplit=1)[0]
    authority, slash, path = rest.partition("/")
    _, at, host = authority.rpartition("@")
    after = text[len(scheme) + len(authority) :]
    if not _PLAIN_AUTHORITY.fullmatch(host) or ((at or not scheme or not host) and "@" in after):
        return f"{scheme}..."
    return f"{scheme}{host}{slash}{path}"


def respelled(url: RequestUrl, text: str) -> str | None:
    """Why ``text``, which means ``url``, may mean something else to a server: what is wrong with it; None if nothing.

    ``url`` has lost dot segments, or its address was spelled oddly. What merely judges takes them; what sends does not.
    """
    authority, path = split_url(text)
    if "#" in text:
        return f"{redacted(text)!r} has a fragment, which no server is asked for"
    segments = path.partition("?")[0].lower().replace("%2e", ".").split("/")
    if not {".", ".."}.isdisjoint(segments):
        return f"the path of {redacted(text)!r} has dot segments"
    if url.address is not None and authority.lower().removesuffix(f":{url.port}") != bracketed(url.host):
        return f"{authority!r} is an odd spelling of {url.host}"
    return None


def bracketed(host: str) -> str:
    """``host`` as it stands in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def split_url(text: str) -> tuple[str, str]:
    """The authority of a URL, and what follows it, which begins with a slash."""
    rest = text.partition("://")[2]
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    path = rest[end:]
    return rest[:end], path if path.startswith("/") else f"/{path}"


def canonical_url(text: str) -> str:
    """``scheme://host:port/path`` for any spelling of a request's URL; UrlError if it has none."""
    return str(parse_url(text))


def canonical_host(host: str) -> str:
    """The one spelling of a host: a name in lower case without its trailing dot, or an address.

    IPv6 is taken with or without brackets and given without.
    """
    if host.startswith("["):
        return _ipv6(host[1:-1])
    _check_ascii(host)
    name = host.lower().removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(labels)
    if len(name) > _LONGEST_HOST or not all(len(label) <= 63 and _LABEL.fullmatch(label) for label in labels):
        raise UrlError(f"{host!r} is not a host name", hint="use letters, digits, hyphens and dots")
    return name


def canonical_path(path: str, *, stars: bool = False) -> str:
    """A path with its percent-encoding normalised and its dot segments removed; it begins with ``/``.

    A star is written ``%2A``, so that it never means a pattern's star, unless ``stars`` says that it does.
    """
    if _NORMAL_PATH.fullmatch(path):
        return path
    kept = _PLAIN_IN_PATH | frozenset("/%*" if stars else "/%")
    encoded = "".join(char if char in kept else _percent(char) for char in path)
    normal = _ESCAPE.sub(_normal_escape, encoded)
    for segment in normal.split("/"):
        _check_segment(segment)
    _check_dot_segments(normal)
    return _remove_dot_segments(normal)


@dataclass(frozen=True)
class UrlPattern:
    """A rule's URL pattern, ready to match: ``scheme://host:port/path``.

    The host is exact, ``*.`` and a name for one label more, an address, or a network (CIDR). In the path ``*`` stays
    within a segment and ``**`` does not.
    """

    scheme: str
    host: str
    port: int
    path: str
    network: IPv4Network | IPv6Network | None = field(repr=False, compare=False)
    _path: re.Pattern[str] = field(repr=False, compare=False)

    def matches_origin(self, url: RequestUrl) -> bool:
        """Whether this pattern covers any path at all of the request's endpoint."""
        return self.port == url.port and self.scheme == url.scheme and self._matches_host(url)

    def matches_path(self, url: RequestUrl) -> bool:
        """Whether this pattern covers the request's path, wherever it is, in every reading: what an allow needs."""
        return all(map(self._path.fullmatch, url.readings))

    def touches_path(self, url: RequestUrl) -> bool:
        """Whether this pattern covers the request's path, wherever it is, in some reading: enough for a deny."""
        return any(map(self._path.fullmatch, url.readings))

    def matches(self, url: RequestUrl) -> bool:
        """Whether this pattern covers the request, however a server reads it."""
        return self.matches_origin(url) and self.matches_path(url)

    def _matches_host(self, url: RequestUrl) -> bool:
        if self.network is not None:
            return url.address is not None and url.address in self.network
        if self.host.startswith("*."):
            return url.host.partition(".")[2] == self.host[2:]
        return url.host == self.host


def parse_pattern(text: str) -> UrlPattern:
    """A rule's URL pattern; UrlError, with the form to write instead, if it is not one."""
    found = _PATTERN.fullmatch(text)
    if found is None:
        raise UrlError(
            f"{text!r} is not a URL pattern", hint="write scheme://host:port/path, such as https://a.example:443/**"
        )
    scheme, host, port, path = found[1].lower(), found[2], found[3], found[4]
    _check_scheme(scheme, text)
    _check_characters(host + (path or ""), text)
    if port is None:
        raise UrlError(f"the pattern {text!r} names no port", hint=f"write {_with_port(text, host, scheme)!r}")
    if path is None:
        raise UrlError(f"the pattern {text!r} names no path", hint=f"write '{text}/**' for all of it")
    if found[5]:
        raise UrlError(
            f"the pattern {text!r} has a query or a fragment", hint="remove it: a policy judges the path alone"
        )
    host, network = _host_pattern(host)
    if _remove_dot_segments(path) != path:
        raise UrlError(f"the pattern {text!r} has dot segments", hint="write the path without '.' and '..'")
    path = canonical_path(path, stars=True)
    return UrlPattern(scheme, host, _port(port), path, network, _glob(path))


def _host_pattern(host: str) -> tuple[str, IPv4Network | IPv6Network | None]:
    if "/" in host:
        network = _network(host)
        return str(network), network
    if host.startswith("*."):
        rest = canonical_host(host[2:])
        if rest[-1].isdigit() and "." in rest and rest.rpartition(".")[2].isdigit():
            raise UrlError(f"{host!r} has a star before an address", hint="write a network, such as 10.0.0.0/8")
        return f"*.{rest}", None
    if "*" in host:
        message = f"the host {host!r} has a star that is not its first label"
        raise UrlError(message, hint="write '*.example.org' or an exact host")
    return canonical_host(host), None


def _network(host: str) -> IPv4Network | IPv6Network:
    import ipaddress

    try:
        network = ipaddress.ip_network(host.strip("[]"))
    except ValueError as error:
        raise UrlError(f"{host!r} is not a network: {error}", hint="write 10.0.0.0/8 or [fd00::/8]") from error
    mapped = network.network_address.ipv4_mapped if network.version == 6 else None
    if mapped is not None:
        hint = f"write {mapped}/{network.prefixlen - 96}, which covers both spellings"
        raise UrlError(f"{host!r} is a network of IPv4 addresses in IPv6 form", hint=hint)
    return network


def _glob(path: str) -> re.Pattern[str]:
    """A pattern's path, in each of its readings."""
    globs = ("".join(_glob_part(part) for part in re.split(r"(\*+)", reading)) for reading in _readings(path))
    return re.compile("|".join(globs), re.DOTALL)


def _glob_part(part: str) -> str:
    if part.startswith("*"):
        return "[^/]*" if part == "*" else ".*"
    return re.escape(part)


def _split_authority(authority: str, text: str) -> tuple[str, str | None]:
    if "@" in authority:
        raise UrlError(
            "the URL has user information before its host",
            hint=f"write {redacted(text)!r}, and name credentials in the store",
        )
    found = _AUTHORITY.fullmatch(authority)
    if found is None or not found[1] or "/" in found[1]:
        raise UrlError(f"{redacted(text)!r} names no host", hint="write scheme://host:port/path")
    return found[1], found[2]


def _check_scheme(scheme: str, text: str) -> None:
    if scheme not in DEFAULT_PORTS:
        raise UrlError(f"{redacted(text)!r} is neither http nor https", hint="a policy judges http and https requests")


def _check_characters(part: str, text: str) -> None:
    if _UNREADABLE.search(part):
        hint = "write the path with '/' and percent-encoding"
        raise UrlError(f"{redacted(text)!r} has a backslash or a control character", hint=hint)


def _check_ascii(host: str) -> None:
    if host.isascii() and "%" not in host and " " not in host:
        return
    try:
        hint = (
            f"write {host.encode('idna').decode()!r}"
            if not host.isascii()
            else "write the host without percent-encoding"
        )
    except UnicodeError:
        hint = "write the host in its ASCII (xn--) form"
    raise UrlError(f"the host {host!r} is not plain ASCII", hint=hint)


def _port(text: str) -> int:
    if len(text) > 8 or not 0 < int(text) <= _HIGHEST_PORT:
        raise UrlError(f"the port {text} is not between 1 and 65535", hint="write the port of the endpoint")
    return int(text)


def _with_port(text: str, host: str, scheme: str) -> str:
    start = text.index("://") + 3 + len(host)
    return f"{text[:start]}:{DEFAULT_PORTS[scheme]}{text[start:]}"


def _ipv4(labels: list[str]) -> str:
    """An IPv4 address as inet_aton(3) reads it: one to four parts, each decimal, octal or hexadecimal."""
    written = ".".join(labels)
    if len(labels) > 4 or not all(_NUMBER.fullmatch(label) for label in labels):
        raise UrlError(f"the host {written!r} is neither a name nor an IPv4 address", hint="write four decimal parts")
    numbers = [_part(label, written) for label in labels]
    if any(number > 255 for number in numbers[:-1]) or numbers[-1] >= 256 ** (5 - len(numbers)):
        raise UrlError(f"the IPv4 address {written!r} is out of range", hint="write four decimal parts of 0 to 255")
    value = numbers[-1] + sum(number << (24 - 8 * index) for index, number in enumerate(numbers[:-1]))
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def _part(label: str, written: str) -> int:
    base = 16 if label.startswith("0x") else 8 if label.startswith("0") and label != "0" else 10
    try:
        return int(label.removeprefix("0x") or "0", base)
    except ValueError as error:
        raise UrlError(
            f"the IPv4 address {written!r} has a part that is no number", hint="write four decimal parts"
        ) from error


def _ipv6(text: str) -> str:
    import ipaddress

    try:
        address = ipaddress.IPv6Address(text)
    except ValueError as error:
        raise UrlError(
            f"[{text}] is not an IPv6 address: {error}", hint="write an address such as [fd00::1]"
        ) from error
    if address.scope_id is not None:
        raise UrlError(f"[{text}] names an interface", hint=f"write [{text.partition('%')[0]}]")
    return str(address.ipv4_mapped or address)


def _percent(char: str) -> str:
    try:
        return "".join(f"%{byte:02X}" for byte in char.encode())
    except UnicodeEncodeError as error:
        raise UrlError("the path has a lone surrogate", hint="write the path in UTF-8") from error


def _normal_escape(found: re.Match[str]) -> str:
    if found[1] is None:
        raise UrlError("the path has a '%' that begins no escape", hint="write '%25' for a percent sign")
    value = int(found[1], 16)
    if value < 0x20 or value == 0x7F:
        raise UrlError(f"the path has the encoded control character {found[0]}", hint="write the path without it")
    return chr(value) if chr(value) in _PLAIN_IN_PATH else found[0].upper()


def _readings(path: str) -> tuple[str, ...]:
    """A path, and what it becomes, in any order, by decoding slashes, merging empty segments, cutting parameters."""
    if "//" not in path and "%2F" not in path and "%5C" not in path and ";" not in path:
        return (path,)
    found = [path]
    for known in found:  # which grows meanwhile
        others = (
            known.replace("%2F", "/"),
            known.replace("%5C", "/"),
            _SLASHES.sub("/", known),
            _PARAMETERS.sub("", known),
        )
        found += [other for other in dict.fromkeys(others) if other not in found]
    return tuple(found)


def _check_segment(segment: str) -> None:
    """Refuse what some servers read as a dot segment and others do not."""
    inner = re.split(r"%2F|%5C", segment)
    hidden = len(inner) > 1 and not {".", ".."}.isdisjoint(inner)
    if hidden or any(part.startswith((".;", "..;")) for part in inner):
        raise UrlError(f"the path segment {segment!r} hides a dot segment", hint="write the path without '.' and '..'")


def _check_dot_segments(path: str) -> None:
    """Refuse dot segments that lead elsewhere where slashes are decoded and empty segments merged before them."""
    late = {_remove_dot_segments(reading) for reading in _readings(path)}
    if not late.issubset(_readings(_remove_dot_segments(path))):
        message = f"the dot segments in the path {path!r} lead to different places, depending on who reads it"
        raise UrlError(message, hint="write the path without '.' and '..'")


def _remove_dot_segments(path: str) -> str:
    """RFC 3986, 5.2.4, for a path that begins with ``/`` or is empty."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)
