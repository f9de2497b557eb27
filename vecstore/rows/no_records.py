"""What people hand over in place of records, and how to make records of it. Nothing of it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .mappings import PARTS

_ROW = "Record(str(row.pop('id')), row.pop('vector', None), row.pop('text', None), row)"
"""Makes a record of a dict; what is left in it is metadata."""
_CONTAINERS: Mapping[str, str] = MappingProxyType(
    {
        "pandas.DataFrame": f"({_ROW} for row in frame.to_dict('records'))",
        "polars.LazyFrame": "frame.collect()",
        "numpy.ndarray": "Columns(ids=[str(number) for number in range(len(matrix))], vectors=matrix)",
        "torch.Tensor": "Columns(ids=[str(number) for number in range(len(matrix))], vectors=matrix.numpy())",
        "vecstore.Record": "[record]",
        "builtins.str": "[Record(id, text=text)]",
        "builtins.bytes": "[Record(id, text=text.decode())]",
        "builtins.async_generator": "[record async for record in records]",
    }
)
"""By class: an argument that works."""
_ITEMS: Mapping[str, str] = MappingProxyType(
    {
        "builtins.tuple": "Record(*each) for a tuple of id, vector, text and metadata",
        "builtins.list": "Record(*each) for a list of id, vector, text and metadata",
        "builtins.str": "Record(id, text=each)",
        "numpy.ndarray": "Record(id, each)",
        "vecstore.Hit": "Record(hit.id, hit.vector, hit.text, hit.metadata) for hits with include=['vector', …]",
        "pandas.Series": "Record(each['id'], each['vector'], each['text'])",
        "pandas.DataFrame": "pandas.concat(frames), or call upsert() for each frame",
        "pyarrow.Table": "pyarrow.concat_tables(tables)",
        "pyarrow.RecordBatch": "pyarrow.RecordBatchReader.from_batches(schema, batches)",
    }
)
"""By class: how one item becomes a record."""


def describe_container(records: object) -> str:
    """Say that an object is no iterable of records, and how to write the call."""
    advice = _look_up(records, _CONTAINERS)
    if isinstance(records, Mapping):
        advice = "[record]" if {*PARTS} & set(records) else "(Record(id, vector) for id, vector in records.items())"
    elif not advice and callable(records):
        advice = "records()"
    written = f" Write {advice}." if advice else " Write [Record(id, vector, text, metadata), …]."
    return f"records must be an iterable of Record or columns, not {type(records).__name__}.{written}"


def describe_item(item: object, number: int) -> str:
    """Say that an item of the iterable is no record, and how to make one of it."""
    advice = _look_up(item, _ITEMS) or "Record(id, vector, text, metadata)"
    kind = type(item).__name__
    return f"records[{number}] is of type {kind}, but records are Record objects or mappings. Write {advice}."


def is_container(records: object) -> bool:
    """Return whether an object iterates over something other than records: columns, keys, rows or letters."""
    return (isinstance(records, Mapping) and len(records) > 0) or bool(_look_up(records, _CONTAINERS))


def _look_up(value: object, table: Mapping[str, str]) -> str:
    names = [f"{each.__module__.partition('.')[0]}.{each.__qualname__}" for each in type(value).__mro__]
    return next((table[name] for name in names if name in table), "")
