"""A generation in a catalogue: two JSON texts, validated when they are read.

The text of the schema also holds the calibration, under a key that versions without it pass over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from vecstore.backend import CalibrationState, Generation
from vecstore.errors import InvalidArgument, StoreCorrupt
from vecstore.fields import NewerSchema
from vecstore.schema import Schema

from .guards import refuse_newer

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


def load_generation(
    id_: str, schema: str, identity: str | None, ef: int | None, *, standby: bool, backend: str
) -> Generation:
    """Return the generation that the catalogue of a backend describes.

    Raises
    ------
    StoreCorrupt, Unsupported
    """
    try:
        declared, calibration = load_schema(schema)
        stated = None if identity is None else json.loads(identity)
        return Generation(id_, declared, stated, ef, standby, calibration)
    except NewerSchema:
        refuse_newer("what the catalogue holds", backend)
    except InvalidArgument as error:
        raise StoreCorrupt(f"The catalogue's description of generation {id_} is invalid: {error}") from error
    except ValueError:  # its message quotes the text
        raise StoreCorrupt(f"The catalogue's description of generation {id_} is not JSON.") from None


def load_schema(text: str) -> tuple[Schema, CalibrationState | None]:
    """Return the schema of a text, and the calibration that it holds beside the schema.

    Raises
    ------
    ValueError, InvalidArgument
    """
    described = json.loads(text)
    found = described.pop(_CALIBRATION, None) if isinstance(described, dict) else None
    calibration = None
    if isinstance(found, Mapping):
        # What a newer version adds to a calibration is passed over.
        known = {name: found[name] for name in CalibrationState.__dataclass_fields__ if name in found}
        calibration = CalibrationState(**known)
    return Schema.from_dict(described), calibration
