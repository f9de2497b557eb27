"""ZIP archives of markup (DOCX, EPUB): bounded, with one kind of error."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from . import limits
from .parts import BrokenDocument
from .signatures import find_signature

_ENCRYPTED = 0x1
_MAX_MEMBERS = 100_000
ERRORS = (BadZipFile, zlib.error, EOFError, NotImplementedError, KeyError, ValueError, RuntimeError)
"""What `zipfile` raises for damaged, encrypted and unusual archives."""


def open_archive(path: Path, what: str, endings: tuple[str, ...]) -> ZipFile:
    """Open an archive whose members of some endings are not too large to be read.

    Parameters
    ----------
    path : Path
    what : str
        The format in messages.
    endings : tuple of str
        Of members that are going to be read.

    Raises
    ------
    BrokenDocument
    """
    with path.open("rb") as file:
        signature = find_signature(file.read(64))
    if signature is not None and "ZIP" not in signature:
        raise BrokenDocument(f"not {what} but {signature}")
    try:
        archive = ZipFile(path)
    except ERRORS as error:
        raise BrokenDocument(f"damaged: not {what}, which is a ZIP archive") from error
    members = archive.infolist()
    size = sum(member.file_size for member in members if member.filename.lower().endswith(endings))
    if size > limits.MAX_UNPACKED_BYTES or len(members) > _MAX_MEMBERS:
        archive.close()
        raise BrokenDocument(f"unpacks to more than {limits.MAX_UNPACKED_BYTES >> 20} MiB of markup")
    if any(member.flag_bits & _ENCRYPTED for member in members):
        archive.close()
        raise BrokenDocument("encrypted: save it without a password")
    return archive


def read_member(archive: ZipFile, name: str) -> bytes:
    """Return a member's bytes.

    Raises
    ------
    BrokenDocument
    """
    try:
        return archive.read(name)
    except KeyError as error:
        raise BrokenDocument(f"damaged: {name} is missing in it") from error
    except ERRORS as error:
        raise BrokenDocument(f"damaged at {name}") from error


def parse_member(archive: ZipFile, name: str) -> Any:
    """Return the root element of an XML member; entities are refused, nothing outside is loaded.

    Raises
    ------
    BrokenDocument
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException, ElementTree

    try:
        return ElementTree.fromstring(read_member(archive, name), forbid_dtd=False)
    except DefusedXmlException as error:
        raise BrokenDocument(f"{name} declares entities, which no such document needs") from error
    except (ParseError, ValueError, LookupError) as error:
        raise BrokenDocument(f"damaged at {name}") from error
