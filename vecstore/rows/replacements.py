"""What to give in place of a value that cannot be stored: the next step in error messages.

Classes are compared by name, so that no library is imported for a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from types import MappingProxyType

MISSING = "a missing value; leave the key out or give None"

_JSON: Mapping[str, str] = MappingProxyType(
    {
        "datetime.datetime": "give value.isoformat()",
        "datetime.date": "give value.isoformat()",
        "datetime.time": "give value.isoformat()",
        "datetime.timedelta": "give value.total_seconds()",
        "uuid.UUID": "give str(value)",
        "decimal.Decimal": "give str(value), or float(value)",
        "fractions.Fraction": "give str(value), or float(value)",
        "pathlib.PurePath": "give str(value)",
        "ipaddress._BaseAddress": "give str(value)",
        "enum.Enum": "give value.value",
        "builtins.bytes": "give value.decode() if it is text, or base64.b64encode(value).decode()",
        "builtins.bytearray": "give value.decode() if it is text, or base64.b64encode(value).decode()",
        "builtins.memoryview": "give base64.b64encode(value).decode()",
        "builtins.set": "give sorted(value)",
        "builtins.frozenset": "give sorted(value)",
        "builtins.complex": "give [value.real, value.imag]",
        "numpy.complexfloating": "give [float(value.real), float(value.imag)]",
        "numpy.datetime64": "give str(value)",
        "numpy.timedelta64": "give str(value)",
        "numpy.bytes_": "give value.decode()",
        "numpy.ndarray": "give value.tolist()",
        "torch.Tensor": "give value.tolist()",
        "ml_dtypes.bfloat16": "give float(value)",
    }
)
"""By class: how its values become JSON."""
_DATES = frozenset({"datetime.datetime", "datetime.date", "numpy.datetime64"})
_METHODS = (
    ("model_dump", "give value.model_dump()"),
    ("tolist", "give value.tolist()"),
    ("__iter__", "give list(value)"),
)

_TO_DATETIME = "give datetime.combine(value, datetime.min.time(), datetime.UTC)"
_FROM_TEXT = "give datetime.fromisoformat(value), with a time zone, or declare fields.DateTime(text=True)"
_FROM_NUMBER = "give datetime.fromtimestamp(value, datetime.UTC), in JSON a text such as 2024-01-31T09:30:00Z"
_FIELDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "keyword": {
            "enum.Enum": "give value.value",
            "builtins.bytes": "give value.decode()",
            "datetime.datetime": "declare fields.DateTime(), or give value.isoformat()",
            "datetime.date": "give value.isoformat()",
            "builtins.bool": "declare fields.Bool(), or give str(value)",
            "builtins.int": "give str(value), or declare fields.Int()",
            "builtins.float": "give str(value), or declare fields.Float()",
            "builtins.list": "declare fields.Keywords() for a list",
            "builtins.tuple": "declare fields.Keywords() for a list",
            "builtins.set": "declare fields.Keywords() for a list, and give sorted(value)",
            "builtins.dict": "metadata that is not declared can be a dict",
            "builtins.object": "give str(value)",
        },
        "keywords": {
            "builtins.str": "give [value]",
            "builtins.bytes": "give [value.decode()]",
            "builtins.set": "give sorted(value)",
            "builtins.frozenset": "give sorted(value)",
            "builtins.dict": "give list(value)",
            "numpy.ndarray": "give value.tolist()",
        },
        "int": {
            "builtins.bool": "give int(value), or declare fields.Bool()",
            "builtins.str": "give int(value), in JSON a number without quotes",
            "builtins.float": "round it, or declare fields.Float()",
            "decimal.Decimal": "give int(value)",
            "datetime.datetime": "declare fields.DateTime()",
            "numpy.datetime64": "declare fields.DateTime()",
            "enum.Enum": "give value.value",
        },
        "float": {
            "builtins.bool": "give float(value), or declare fields.Bool()",
            "builtins.str": "give float(value), in JSON a number without quotes",
            "decimal.Decimal": "give float(value)",
            "fractions.Fraction": "give float(value)",
            "ml_dtypes.bfloat16": "give float(value)",
            "enum.Enum": "give value.value",
        },
        "bool": {
            "builtins.int": "give bool(value)",
            "builtins.float": "give bool(value)",
            "builtins.str": "give True or False, in JSON true or false without quotes",
        },
        "datetime": {
            "datetime.date": _TO_DATETIME,
            "builtins.str": _FROM_TEXT,
            "builtins.int": _FROM_NUMBER,
            "builtins.float": _FROM_NUMBER,
            "numpy.datetime64": "give value.astype('datetime64[us]').item().replace(tzinfo=datetime.UTC)",
        },
    }
)
"""By kind of field and class: how its values become those of the field."""


def suggest_json(value: object, *, nested: bool) -> str:
    """Return what to give instead of a value that JSON cannot represent.

    A value that is ``nested`` in another one cannot become a declared field.
    """
    names = _list_classes(value)
    found = _look_up(names, _JSON)
    if not found and is_dataclass(value):
        found = "give dataclasses.asdict(value)"
    for method, text in _METHODS:
        if not found and not isinstance(value, type) and hasattr(type(value), method):
            found = text
    if _DATES & set(names) and not nested:
        return f"declare the field with fields.DateTime(), or {found}"
    return found or "give str, int, float, bool, None, or lists and dicts of them"


def suggest_field_value(kind: str, value: object) -> str:
    """Return what to give to a field of a kind instead of a value, or an empty string."""
    return _look_up(_list_classes(value), _FIELDS[kind])


def _list_classes(value: object) -> list[str]:
    """Return the classes of a value from the nearest to ``object``, as ``package.Name``."""
    return [f"{each.__module__.partition('.')[0]}.{each.__qualname__}" for each in type(value).__mro__]


def _look_up(names: list[str], table: Mapping[str, str]) -> str:
    return next((table[name] for name in names if name in table), "")
