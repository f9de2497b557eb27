"""How many random programs and random filters a run tries."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings

from .place import Place

_HYPOTHESIS_DEFAULT = 100


@dataclass(frozen=True, slots=True)
class ExampleCounts:
    """Counts of one run.

    Attributes
    ----------
    programs : int
        Random programs on a small store; a tenth as many run on a large one.
    steps : int
        Calls in each program.
    filters : int
        Random filters.
    """

    programs: int
    steps: int
    filters: int


USUAL = ExampleCounts(programs=100, steps=50, filters=2_000)
LONG = ExampleCounts(programs=500, steps=100, filters=5_000)


def choose_counts(place: Place) -> ExampleCounts:
    """Return the counts for a place: the long ones where the Hypothesis profile asks for more examples than usual."""
    if settings().max_examples > _HYPOTHESIS_DEFAULT:
        return LONG
    return ExampleCounts(USUAL.programs // place.part, USUAL.steps, USUAL.filters // place.part)
