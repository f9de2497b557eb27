"""Secrets that no error may show, and the checks for them."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import numpy as np
import pytest

from vecstore import VecstoreError

PASSWORD = "canary-Passw0rt"  # noqa: S105
TEXT = "canary text of a record"
WORD = "canaryword0815"
NUMBER = 0.8457132
BYTES = np.float32(NUMBER).tobytes()
SECRETS = (PASSWORD, TEXT, TEXT.encode().hex(), WORD, WORD.encode().hex(), str(NUMBER), repr(BYTES)[2:-1], BYTES.hex())


def change_url(
    url: str, *, user: str = "", password: str = "", host: str = "", port: int = 0, database: str = ""
) -> str:
    parts = urlsplit(url)
    who = f"{user or parts.username}:{password or parts.password}"
    where = f"{host or parts.hostname}:{port or parts.port}"
    return urlunsplit(parts._replace(netloc=f"{who}@{where}", path=database or parts.path))


@contextmanager
def expect_error(kind: type[VecstoreError], *words: str) -> Iterator[None]:
    """Expect an error of exactly this kind, whose message contains some words and no secret."""
    with pytest.raises(kind) as raised:
        yield
    assert type(raised.value) is kind
    shown = f"{raised.value} {raised.value!r}"
    assert all(word in shown for word in words), shown
    check_secret_free(shown, raised.value)


def check_secret_free(shown: str, error: BaseException) -> None:
    assert find_leaks(shown) == []
    cause, lines = error.__cause__, []
    while cause is not None:
        lines += [line for line in str(cause).splitlines() if len(line) > 20]
        cause = cause.__cause__
    assert not any(line in shown for line in lines), "our message contains the driver's"


def find_leaks(text: str, *further: str) -> list[str]:
    """Return the secrets that a text contains."""
    return [secret for secret in (*SECRETS, *further) if secret in text]


def collect_text(error: BaseException) -> str:
    """Return everything that logs and debuggers can show of an error and its causes."""
    parts, seen, left = traceback.format_exception(error), set(), [error]
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        parts += [str(each), repr(each), repr(each.args), repr(vars(each))]
        context = None if each.__suppress_context__ else each.__context__
        left += [other for other in (each.__cause__, context) if other is not None]
    return "\n".join(parts)
