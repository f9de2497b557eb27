"""How a database URL is read: its scheme, a path, parameters. No message here quotes what may be a secret.

A URL that is spelled wrongly may have a password in any of its parts, so errors name schemes and parameters
only where they are plain words, and show the form that is expected instead of the text that was given.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from .errors import InvalidUrl

_ALIASES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("postgres", "postgresql+psycopg", "postgresql+psycopg_async"), "postgresql")
)
_WITH_PATH = frozenset({"file", "postgresql+embedded"})
_DRIVERS = frozenset({
    "psycopg2", "psycopg2cffi", "psycopg2binary", "psycopg3", "asyncpg", "pg8000", "pygresql", "pypostgresql", "pyodbc",
})  # fmt: skip
"""Drivers of other applications; any other word in their place may be part of a secret."""
_SECRETS = ("password", "passwd", "pwd", "sslpassword", "secret", "token")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9+._-]{0,39}")
_ENCODE = (
    "In a password or a name, write @ : / # ? % and & percent-encoded, as urllib.parse.quote(password, safe='') does."
)


@dataclass(frozen=True, slots=True)
class Url:
    """A URL in its parts.

    Attributes
    ----------
    scheme : str
        Without the colon; an alias is replaced by the scheme that it stands for.
    location : str
        The text between the scheme's colon and the query, still percent-encoded.
    parameters : dict of str to str
        The query, decoded.
    """

    scheme: str = field(repr=False)
    location: str = field(repr=False)
    parameters: dict[str, str] = field(repr=False)


def parse_url(place: str | os.PathLike[str]) -> Url:
    """Return the parts of a URL, or of a path, which means ``file:``.

    A `str` is a path where it begins with a slash, a dot or a tilde. It is read as if ``file:`` stood before it,
    with parameters and percent-encoding; a path object is taken literally.

    Raises
    ------
    InvalidUrl
    """
    if isinstance(place, os.PathLike):
        return Url("file", quote(os.fsencode(place), safe="/~"), {})
    text = place.strip()
    if text.startswith(("/", ".", "~")):
        text = f"file:{text}"
    scheme, colon, rest = text.partition(":")
    if not colon:
        raise InvalidUrl("Unknown database URL without a scheme. For a directory write 'file:./directory'.")
    dialect, plus, driver = scheme.partition("+")
    if plus and dialect in {"postgres", "postgresql"} and scheme not in {*_ALIASES, "postgresql+embedded"}:
        shown = f" in place of {scheme}://" if driver in _DRIVERS else ""
        raise InvalidUrl(f"vecstore brings its own PostgreSQL driver. Write postgresql://{shown}.")
    location, mark, query = rest.partition("?")
    if mark and "@" in query and re.fullmatch(r"//[^/@]*:[^/@]*", location):
        raise InvalidUrl(f"The URL has a @ after a question mark and none before it. {_ENCODE}")
    return Url(_ALIASES.get(scheme, scheme), location, parse_query(query))


def parse_query(query: str) -> dict[str, str]:
    """Return a URL's parameters by name.

    Raises
    ------
    InvalidUrl
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:  # its message quotes the parameters, which may include a password
        raise InvalidUrl(f"The URL's parameters must look like ?name=value&name=value. {_ENCODE}") from None
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            shown = "a parameter" if _may_hold_secret(query, names) else f"the parameter {name[:40]!a}"
            raise InvalidUrl(f"The URL gives {shown} more than once.")
    return dict(pairs)


def describe_scheme(url: Url) -> str:
    """Return a scheme for a message about an unknown one, or nothing where it may be part of a secret.

    The driver behind a plus is left out: who writes a password there has it in no message.
    """
    has_at = "@" in url.location or "@" in "".join(url.parameters.values())
    # What stands before a colon without slashes may be a user and a password alone.
    is_plain = _WORD.fullmatch(url.scheme) and url.location.startswith("//") and not has_at
    return f" {url.scheme.partition('+')[0]!a}" if is_plain else ""


def read_path(location: str, scheme: str) -> Path:
    """Return the absolute path in the location of a URL, the same way for every scheme that has a path.

    ``scheme:dir`` and ``scheme:./dir`` are relative to the working directory, ``scheme:/dir`` and ``scheme:///dir``
    are absolute, and ``scheme:~/dir`` is below the home directory.

    Raises
    ------
    InvalidUrl
        The location has a host, as in ``scheme://dir``, or no path.
    """
    expected = f"Write {scheme}:./relative/path or {scheme}:///absolute/path."
    path = location
    if location.startswith("//"):
        host, slash, rest = location[2:].partition("/")
        if host not in {"", "localhost"} or not slash:
            raise InvalidUrl(f"A {scheme}: URL has a path and no host. {expected}")
        path = "/" + rest.lstrip("/")
    try:
        decoded = os.fsdecode(unquote_to_bytes(os.fsencode(path)))
    except UnicodeError:
        raise InvalidUrl(f"The path of a {scheme}: URL must be text that UTF-8 can encode. {expected}") from None
    if not decoded or "\0" in decoded:
        raise InvalidUrl(f"A {scheme}: URL needs a path. {expected}")
    if path.startswith("~"):
        decoded = os.path.expanduser(decoded)
        if decoded.startswith("~"):
            raise InvalidUrl(f"The path of the {scheme}: URL begins with ~, and that user has no home directory.")
    # A later change of the working directory must not move the database.
    return Path(os.path.abspath(decoded))


def make_absolute(place: str) -> str:
    """Return a URL that means the same place in a process with another working directory.

    Raises
    ------
    InvalidUrl
    """
    url = parse_url(place)
    if url.scheme not in _WITH_PATH:
        return place
    _, mark, query = place.partition("?") if isinstance(place, str) else ("", "", "")
    return f"{url.scheme}:{quote(os.fsencode(read_path(url.location, url.scheme)))}{mark}{query}"


def is_url(text: str) -> bool:
    """Say whether a text looks like the URL of a server or of a directory."""
    return "://" in text


def read_local_path(place: str, known: Iterable[str]) -> str:
    """Return the path of a file or directory of this machine, which may be given as a ``file:`` URL.

    Anything else is a path as it stands, with a tilde at its beginning expanded.

    Parameters
    ----------
    place : str
    known : iterable of str
        URL schemes. A path begins with one of them by mistake only.

    Raises
    ------
    InvalidUrl
        The URL of a server, or a ``file:`` URL with parameters.
    """
    text = place.strip()
    scheme, colon, _ = text.partition(":")
    if colon and scheme == "file":
        url = parse_url(text)
        if not url.parameters:
            return str(read_path(url.location, "file"))
        raise InvalidUrl("A file: URL of a file or a directory to write takes no parameters. Leave out ? and the rest.")
    if is_url(text) or (colon and scheme in {*known, *_ALIASES}):
        raise InvalidUrl(
            "This must be a path on this machine, not the URL of a server. Write ./directory, for example."
        )
    return os.path.expanduser(place)


def check_authority(location: str, expected: str) -> None:
    """Refuse a server's location where a part of the password could be taken for a host, a port or a database.

    Raises
    ------
    InvalidUrl
    """
    authority, _, path = location.removeprefix("//").partition("/")
    if not location.startswith("//") or "@" in path:
        hint = f" {_ENCODE}" if "@" in location else ""
        raise InvalidUrl(f"{expected}{hint}")
    if authority.count("@") > 1:
        raise InvalidUrl(f"The URL has more than one @ before the host. {_ENCODE}")


def _may_hold_secret(query: str, names: list[str]) -> bool:
    from difflib import get_close_matches

    return "@" in query or any(get_close_matches(name.lower(), _SECRETS) for name in names)
