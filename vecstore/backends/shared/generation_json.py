"""A generation in a catalogue: two JSON texts, validated when they are read.

The text of the schema also holds the calibration, under a key that versions without it pass over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from vecstore.backend import CalibrationState, Generation
from vecstore.errors import InvalidArgument, StoreCorrupt
from vecstore.schema import Schema

_CALIBRATION = "calibration"


def dump_schema(generation: Generation) -> str:
    """Return the schema, and the calibration if there is one, as JSON."""
    described = generation.schema.to_dict()
    if generation.calibration is not None:
        described[_CALIBRATION] = asdict(generation.calibration)
    return json.dumps(described)


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
        described = json.loads(schema)
        calibration = load_calibration(described)
        stated = None if identity is None else json.loads(identity)
        return Generation(id_, Schema.from_dict(described), stated, ef, standby, calibration)
    except InvalidArgument as error:
        raise StoreCorrupt(f"The catalogue's description of generation {id_} is invalid: {error}") from error
    except ValueError:  # its message quotes the text
        raise StoreCorrupt(f"The catalogue's description of generation {id_} is not JSON.") from None


def load_calibration(described: Any) -> CalibrationState | None:
    """Return the calibration that the text of a schema holds beside it, from its JSON."""
    found = described.get(_CALIBRATION) if isinstance(described, Mapping) else None
    if not isinstance(found, Mapping):
        return None
    # What a newer version adds is passed over.
    return CalibrationState(**{name: found[name] for name in CalibrationState.__dataclass_fields__ if name in found})
