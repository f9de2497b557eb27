"""What is given instead of tables and tickets."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import vecstore
import vecstore.ray
from vecstore import Schema, bulk

from .workers import DIM, make_table


@pytest.mark.parametrize(
    "tables",
    [make_table(0, 5), [make_table(0, 5)["id"]], None, 7, "a.parquet"],
    ids=["a table", "a column", "none", "a number", "a path"],
)
def test_what_is_no_iterable_of_tables(tmp_path: Path, tables: Any) -> None:
    """A table alone is an iterable of columns, which hand over Arrow data, too."""
    with pytest.raises(vecstore.InvalidArgument, match=r"must be an iterable of Arrow tables.* alone as \[table\]"):
        bulk.load(f"file:{tmp_path}/kb", "docs", tables, Schema(dim=DIM))


def test_what_is_no_ticket() -> None:
    with pytest.raises(vecstore.InvalidArgument, match=r"load\.ticket, not str"):
        bulk.write_part("docs", make_table(0, 5))  # type: ignore[arg-type]


def test_parts_that_are_said_to_have_less(tmp_path: Path) -> None:
    with ExitStack() as block:
        load = block.enter_context(bulk.begin(f"file:{tmp_path}/kb", "docs", Schema(dim=DIM)))
        bulk.write_part(load.ticket, make_table(0, 5))
        load.confirm(1)
        with pytest.raises(vecstore.InvalidArgument, match="has 5 records, and its parts are said to have 1 of them"):
            block.close()


@pytest.mark.parametrize("concurrency", [0, "2"])
def test_no_tasks_of_ray(tmp_path: Path, concurrency: Any) -> None:
    dataset: Any = None
    with pytest.raises(vecstore.InvalidArgument, match="concurrency must be a whole number of at least 1"):
        vecstore.ray.write(dataset, f"file:{tmp_path}/kb", "docs", concurrency=concurrency)
