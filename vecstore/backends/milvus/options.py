"""The parts of a ``milvus:`` URL."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import unquote

from vecstore.errors import InvalidUrl
from vecstore.urls import check_authority, parse_url

from ..shared.url_options import Parameter, seconds, split, whole, word

PORT = 19530
DATABASE = "default"
EXPECTED = "vectors= takes a Milvus URL: milvus://host:19530, or milvus://user:password@host:19530/database."
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\]", re.ASCII)
_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class MilvusOptions:
    """Where a server is, and how it is asked.

    Attributes
    ----------
    address : str
        ``host:port``.
    database : str
    user, password : str
        Empty where the server asks for neither. A password without a user is a token.
    tls : bool
    authority : str or None
        File with the certificates, in PEM, that the server's is checked against; by default those of the system.
    timeout : float
        Seconds that one request may take.
    shards : int
        Of a new collection: how many parts of it take writes at the same time.
    """

    address: str
    database: str = DATABASE
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    tls: bool = False
    authority: str | None = None
    timeout: float = 30.0
    shards: int = 1

    @property
    def place(self) -> str:
        """The server and its database, as messages name them; without a user and a password."""
        return f"milvus://{self.address}/{self.database}"


def _parse_file(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError
    return os.path.abspath(os.path.expanduser(text))


_PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "timeout": Parameter("timeout", seconds(), "seconds, above 0 and up to 86400"),
        "tls": Parameter("tls", word({"on": True, "off": False}), "on or off"),
        "ca": Parameter("authority", _parse_file, "a file of certificates"),
        "shards": Parameter("shards", whole(1, 16), "a whole number from 1 to 16"),
    }
)


def parse_milvus_url(text: str) -> MilvusOptions:
    """Return the parts of a ``milvus:`` URL.

    Raises
    ------
    InvalidUrl
        No message quotes what may be a secret.
    """
    if not text.strip().startswith("milvus:"):
        raise InvalidUrl(EXPECTED)
    url = parse_url(text)
    given, _ = split(url.parameters, _PARAMETERS, (), "milvus")
    if given.get("authority") and not given.get("tls"):
        raise InvalidUrl("The URL's parameter ca is for TLS. Add tls=on.")
    check_authority(url.location, EXPECTED)
    authority, _, path = url.location.removeprefix("//").partition("/")
    account, _, server = authority.rpartition("@")
    user, password = _parse_account(account)
    return MilvusOptions(_parse_server(server), _parse_database(path), user, password, **given)


def _parse_account(account: str) -> tuple[str, str]:
    if _BAD_ESCAPE.search(account):
        raise InvalidUrl(
            "The user or the password of a Milvus URL has a % without two hexadecimal digits behind it. Write %25 for "
            "a percent sign; where the URL is a parameter of another one, percent-encode it once more as a whole."
        )
    try:
        user, _, password = (unquote(part, errors="strict") for part in account.partition(":"))
    except UnicodeDecodeError:  # its message quotes the bytes
        raise InvalidUrl("The user and the password of a Milvus URL must be UTF-8.") from None
    if not (user + password).isprintable():
        raise InvalidUrl("The user and the password of a Milvus URL must be printable text.")
    if ":" in user or (user and not password):
        raise InvalidUrl(f"The URL has a user and no password. {EXPECTED}")
    return user, password


def _parse_server(server: str) -> str:
    found = re.fullmatch(r"(.*?)(?::([0-9]{1,5}))?", server, re.ASCII)
    if not found or not _HOST.fullmatch(found[1]):
        raise InvalidUrl(EXPECTED)
    port = int(found[2]) if found[2] else PORT
    if not 1 <= port <= _MAX_PORT:
        raise InvalidUrl(f"The port of a Milvus URL must be from 1 to {_MAX_PORT}.")
    return f"{found[1].lower()}:{port}"


def _parse_database(path: str) -> str:
    name = path.removesuffix("/")
    if name and not _DATABASE.fullmatch(name):
        raise InvalidUrl("The path of a Milvus URL is the name of a database: letters, digits and _.")
    return name or DATABASE
