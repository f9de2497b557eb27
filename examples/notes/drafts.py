"""What a person typed into the form of a note, and what is wrong with it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from .models import BODY, NAME, TITLE, Note

LABELS: Mapping[str, str] = {"title": "Title", "body": "Note", "owner": "Owner", "tag": "Tag"}
_LONGEST: Mapping[str, int] = {"title": TITLE, "body": BODY, "owner": NAME, "tag": NAME}


@dataclass(frozen=True, slots=True)
class Draft:
    """The fields of the form, tidied: lines end with a newline, and one-line fields have single spaces."""

    title: str = ""
    body: str = ""
    owner: str = ""
    tag: str = ""

    @classmethod
    def from_form(cls, title: str, body: str, owner: str, tag: str) -> Draft:
        """Return a draft of what was typed."""
        lines = body.replace("\r\n", "\n").replace("\r", "\n").strip()
        return cls(_tidy(title), lines, _tidy(owner), _tidy(tag).lower())

    @classmethod
    def from_note(cls, note: Note) -> Draft:
        """Return a draft that changes nothing."""
        return cls(note.title, note.body, note.owner, note.tag)

    def apply(self, note: Note) -> None:
        """Give a note these values."""
        note.title, note.body, note.owner, note.tag = self.title, self.body, self.owner, self.tag

    def find_errors(self) -> dict[str, str]:
        """Return for each field that cannot be saved a sentence that says what to do."""
        errors: dict[str, str] = {}
        for name, label in LABELS.items():
            value, longest = getattr(self, name), _LONGEST[name]
            if not value:
                errors[name] = f"{label} is empty. Write something."
            elif len(value) > longest:
                errors[name] = f"{label} has {len(value):,} characters. Shorten it to {longest:,}."
            elif any(unicodedata.category(sign) == "Cc" and sign not in "\n\t" for sign in value):
                errors[name] = f"{label} contains a control character. Remove it, or type the text again."
        return errors


def _tidy(value: str) -> str:
    return " ".join(value.split())
