"""What is wrong with a value that is not a vector, and how to make one of it. No message contains a number of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .missing import name_missing

_FROM_BYTES = "np.frombuffer(vector, np.float32), in the dtype in which they were written"
_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "builtins.NoneType": "Give {dim} numbers",
        "builtins.str": "Read it with json.loads(vector), or register pgvector's adapter with your driver",
        "builtins.bytes": f"Give {_FROM_BYTES}",
        "builtins.bytearray": f"Give {_FROM_BYTES}",
        "builtins.memoryview": f"Give {_FROM_BYTES}",
        "builtins.set": "A set has no order; give a list of {dim} numbers",
        "builtins.frozenset": "A set has no order; give a list of {dim} numbers",
        "builtins.dict": "Give the list of {dim} numbers in it",
        "builtins.generator": "Give list(vector)",
        "torch.Tensor": "Give vector.detach().cpu().float().numpy()",
        "cupy.ndarray": "Give vector.get()",
        "scipy.sparray": "Give vector.toarray()[0]",
        "scipy.spmatrix": "Give vector.toarray()[0]",
        "scipy._spbase": "Give vector.toarray()[0]",
    }
)
"""By class: how its values become a list or an array of numbers."""
_METHODS = (("cpu", "Give vector.cpu()"), ("toarray", "Give vector.toarray()"), ("__iter__", "Give list(vector)"))
_DTYPES: Mapping[str, str] = MappingProxyType(
    {
        "b": "Give numbers, such as np.asarray(vector, np.float32)",
        "c": "Give {dim} real numbers",
        "V": "Give vector.astype(np.float32)",
        "M": "Give {dim} numbers",
        "m": "Give {dim} numbers",
        "U": "They are text; give [float(number) for number in vector], or several queries to search_many()",
        "S": "They are bytes; give [float(number) for number in vector]",
        "O": "Give [float(number) for number in vector]",
    }
)
"""By kind of numpy's dtype: how an array of it becomes one of numbers."""


def describe_unreadable(vector: object, dim: int) -> str | None:
    """Return what is wrong with a value that numpy must not read as numbers, or None.

    A buffer of bytes would otherwise be taken for numbers from 0 to 255.
    """
    if isinstance(vector, str | bytes | bytearray) or vector is None:
        return describe_object(vector, dim)
    if missing := name_missing(vector):
        return f"the vector is {missing}, a missing value. Leave it out, or give None and a text to embed."
    if isinstance(vector, memoryview) and vector.format in {"B", "b", "c"}:
        return describe_object(vector, dim)
    return None


def describe_object(vector: object, dim: int) -> str:
    """Say that an object is not a vector, and what to give instead."""
    kind = type(vector)
    names = [f"{each.__module__.partition('.')[0]}.{each.__qualname__}" for each in kind.__mro__]
    advice = next((_CLASSES[name] for name in names if name in _CLASSES), "")
    for method, text in _METHODS:
        if not advice and hasattr(kind, method):
            advice = text
    what = {"str": "text (str)", "NoneType": "None"}.get(kind.__name__, f"a {kind.__name__}")
    return f"the vector is {what}, not an array of numbers. {(advice or 'Give {dim} numbers').format(dim=dim)}."


def describe_ragged(vector: Sequence[object], dim: int) -> str:
    """Say where a sequence that numpy cannot read has something other than a number."""
    for position, each in enumerate(vector):
        if not isinstance(each, int | float | np.number):
            return f"the vector is ragged: at position {position} is a {type(each).__name__}. Give {dim} numbers."
    return f"the vector is not an array of numbers. Give {dim} numbers."


def describe_dtype(vector: object, array: NDArray[Any], dim: int) -> str:
    """Say that an array holds no real numbers."""
    if array.dtype.kind == "O" and array.ndim == 0:
        return describe_object(vector, dim)
    what = f"{array.dtype.name} values"
    if array.dtype.kind == "O":
        what = "Python objects"
        position = next(
            (place for place, each in enumerate(array.flat) if not _is_number(each) or isinstance(each, bool)), None
        )
        if position is not None and array.ndim == 1:
            if array[position] is None:
                return f"the vector contains None at position {position}. Give {dim} numbers."
            what = f"a {type(array[position]).__name__} at position {position}"
        elif position is None:
            return f"the vector is an array of {what}, which are all numbers. Give vector.astype(np.float32)."
    return f"the vector contains {what}. {_DTYPES.get(array.dtype.kind, 'Give {dim} numbers').format(dim=dim)}."


def describe_shape(array: NDArray[Any], dim: int) -> str:
    """Say that an array has not the store's dimension."""
    if array.ndim == 1:
        advice = f"Use the model that filled the store, or a store with dim={len(array)}" if len(array) else ""
        what = f"{len(array)} dimensions"
    else:
        what = f"shape {array.shape}"
        advice = {0: f"A single number is no vector; give {dim}", 2: "Make one record or query of each row"}.get(
            array.ndim, f"Give shape ({dim},)"
        )
        if array.ndim == 2 and len(array) == 1:
            advice = "Give vector[0]"
    advice = advice or f"Give {dim} numbers"
    return f"the vector has {what}, but the store has {dim} dimensions. {advice}."


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number)
