"""What `vecstore eval` and `plot` measure: a store's records, or a sample, drawn after all arguments were checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ...errors import InvalidArgument, UnknownField
from ...evaluation.sampling import Sample, check_field, draw_sample
from ...store import VectorStore
from ..exits import Failure

Size = Annotated[
    int,
    typer.Option(
        "--sample", metavar="N", min=2, max=50_000, help="At most so many records, drawn at random if there are more."
    ),
]
Depth = Annotated[int, typer.Option("-k", "--limit", metavar="N", min=1, max=1_000, help="How many records are found.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, max=2**32 - 1, help="Seed of everything random.")]
Label = Annotated[str, typer.Option("--label", metavar="FIELD", help="The metadata field that holds labels.")]
DEFAULT_SIZE = 5_000


def take_sample(
    store: VectorStore,
    size: int,
    seed: int,
    where: Mapping[str, Any] | None,
    *,
    least: int,
    label: str | None = None,
    texts: bool = False,
) -> Sample:
    """Check the field and the number of records, then draw a sample.

    Raises
    ------
    Failure, InvalidArgument, InvalidFilter, UnknownField
    """
    if label is not None:
        try:
            check_field(store, label)
        except UnknownField as error:
            raise Failure(str(error)) from error  # the hint about filters would not help
    check_records(store, where, least)
    return draw_sample(store, size, seed=seed, where=where, texts=texts)


def check_records(store: VectorStore, where: Mapping[str, Any] | None, least: int) -> None:
    """Check that there are enough records before any are read.

    Raises
    ------
    InvalidArgument, InvalidFilter, UnknownField
    """
    count = store.count(where)
    if count < least:
        match = " that match" if where else ""
        raise InvalidArgument(
            f"Store {store.name!r} has {count:,} records{match}, which are too few. This needs at least {least:,}."
        )


def describe_sample(sample: Sample) -> str:
    """Say what figures rest on."""
    if len(sample) == sample.total:
        return f"all {sample.total:,} records, seed {sample.seed}"
    return f"{len(sample):,} of {sample.total:,} records, seed {sample.seed}"
