"""How many records a generation has, how many match a query, and how many have a vector."""

from __future__ import annotations

from vecstore.backend import Generation

from .filters import WITH_VECTOR
from .generation_guard import ATTEMPTS, GenerationGuard, make_unsteady_index
from .scripts import COUNT
from .search import make_count_command


def count_records(guard: GenerationGuard, generation: Generation) -> int:
    """Return the number of records."""
    return int(guard.run(generation, COUNT, ())[1])


def count_matches(guard: GenerationGuard, generation: Generation, query: str) -> int:
    """Return the number of records that match one query."""
    for _ in range(ATTEMPTS):
        state = guard.recall(generation)
        replies = guard.search(generation, state, [make_count_command(query, state.index, guard.milliseconds)])
        if replies is not None:
            return int(replies[0][b"total_results"])
    raise make_unsteady_index()


def count_vectors(guard: GenerationGuard, generation: Generation) -> int:
    """Return the number of records that have a vector."""
    if generation.schema.has_optional_vectors:
        return count_matches(guard, generation, WITH_VECTOR)
    return count_records(guard, generation)
