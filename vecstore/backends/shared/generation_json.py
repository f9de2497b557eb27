"""A generation in a catalogue: two JSON texts, validated when they are read."""

from __future__ import annotations

import json

from vecstore.backend import Generation
from vecstore.errors import InvalidArgument, StoreCorrupt
from vecstore.schema import Schema


def dump_schema(generation: Generation) -> str:
    """Return the schema as JSON."""
    return json.dumps(generation.schema.to_dict())


def dump_identity(generation: Generation) -> str | None:
    """Return the identity of the embedder as JSON, or None."""
    return None if generation.identity is None else json.dumps(dict(generation.identity))


def load_generation(id_: str, schema: str, identity: str | None, ef: int | None, *, standby: bool) -> Generation:
    """Return the generation that a catalogue describes.

    Raises
    ------
    StoreCorrupt
    """
    try:
        described = Schema.from_dict(json.loads(schema))
        return Generation(id_, described, None if identity is None else json.loads(identity), ef, standby)
    except InvalidArgument as error:
        raise StoreCorrupt(f"The catalogue's description of generation {id_} is invalid: {error}") from error
    except ValueError:  # its message quotes the text
        raise StoreCorrupt(f"The catalogue's description of generation {id_} is not JSON.") from None
