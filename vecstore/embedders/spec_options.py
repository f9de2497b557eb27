"""The options of an embedder on the command line: ``NAME:MODEL?option=value&…``, from a closed table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from ..errors import InvalidArgument, close_matches

_SECRETS = ("api_key", "key", "token", "secret", "password", "authorization")
_WORDS: Mapping[str, bool] = MappingProxyType({"true": True, "1": True, "false": False, "0": False})


def _read_bool(text: str) -> bool:
    return _WORDS[text.lower()]


def _read_name(text: str) -> str | None:
    return text or None


OPTIONS: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        "base64": _read_bool,
        "batch_size": int,
        "device": str,
        "dimensions": int,
        "key_variable": _read_name,
        "normalize": _read_bool,
        "on_long": str,
        "revision": str,
        "timeout": float,
        "truncate_dim": int,
        "url": str,
    }
)
"""What reads each option. An embedder takes those that its class has."""


def cut_options(model: str) -> tuple[str, dict[str, str]]:
    """Return the model and the options of what stands after the colon.

    Raises
    ------
    InvalidArgument
    """
    name, mark, query = model.rpartition("?")
    if not mark or "=" not in query:
        return model, {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise InvalidArgument("The options of an embedder are written ?option=value&option=value.") from None
    options = dict(pairs)
    if len(options) < len(pairs):
        raise InvalidArgument("An option of the embedder is given twice.")
    for option in options:
        if option.lower() in _SECRETS:
            raise InvalidArgument(
                f"A secret does not belong into the name of an embedder: {option[:40]!a}. Put it into an environment "
                "variable and give key_variable=NAME."
            )
    return name, options


def read_options(adapter: type, options: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return the options of an adapter in the types of its arguments. No message contains a value.

    Raises
    ------
    InvalidArgument
    """
    known = [option for option in OPTIONS if option in inspect.signature(adapter).parameters]
    found = {}
    for option, text in options.items():
        if option not in known:
            raise InvalidArgument(f"The embedder {name!r} has no option {option[:40]!a}.{close_matches(option, known)}")
        try:
            found[option] = OPTIONS[option](text)
        except (ValueError, KeyError):
            raise InvalidArgument(
                f"The option {option} of the embedder {name!r} has a value that it cannot read."
            ) from None
    return found
