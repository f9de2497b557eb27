"""A generation in a catalogue: two JSON texts, validated when they are read.

The text of the schema also holds the calibration, under a key that versions without it pass over, and the other
Database of a remote generation, under a key that they refuse: they would look for its records here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from vecstore.backend import CalibrationState, Generation, Remote
from vecstore.errors import InvalidArgument, StoreCorrupt
from vecstore.fields import NewerSchema
from vecstore.schema import Schema

from .guards import refuse_newer

_CALIBRATION, _REMOTE = "calibration", "remote"
_ARRIVED, _YES = "arrived", "yes"
"""Written only where it is so: a store that is on its way is read by versions that know nothing of it."""


def dump_schema(generation: Generation) -> str:
    """Return the schema, and the calibration and the other Database if there are such, as JSON."""
    described = generation.schema.to_dict()
    if generation.calibration is not None:
        described[_CALIBRATION] = asdict(generation.calibration)
    if generation.remote is not None:
        described[_REMOTE] = _dump_remote(generation.remote)
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
        declared, calibration, remote = load_schema(schema)
        stated = None if identity is None else json.loads(identity)
        return Generation(id_, declared, stated, ef, standby, calibration, remote)
    except NewerSchema:
        refuse_newer("what the catalogue holds", backend)
    except InvalidArgument as error:
        raise StoreCorrupt(f"The catalogue's description of generation {id_} is invalid: {error}") from error
    except ValueError:  # its message quotes the text
        raise StoreCorrupt(f"The catalogue's description of generation {id_} is not JSON.") from None


def load_schema(text: str) -> tuple[Schema, CalibrationState | None, Remote | None]:
    """Return the schema of a text, and the calibration and the other Database that it holds beside the schema.

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
    remote = _load_remote(described.pop(_REMOTE)) if isinstance(described, dict) and _REMOTE in described else None
    return Schema.from_dict(described), calibration, remote


def _dump_remote(remote: Remote) -> dict[str, str]:
    described: dict[str, str] = asdict(remote)
    del described[_ARRIVED]
    return {**described, _ARRIVED: _YES} if remote.arrived else described


def _load_remote(found: object) -> Remote:
    if not isinstance(found, Mapping) or not all(isinstance(each, str) for each in found.values()):
        raise InvalidArgument("this is not the data of another Database.")
    known = Remote.__dataclass_fields__.keys()
    told = {_ARRIVED: _YES, **found}
    if told.keys() != known or told[_ARRIVED] != _YES or found.get("kind") not in {"move", "copy", "back", "load"}:
        raise NewerSchema("A newer vecstore wrote where the records of a store are. Upgrade vecstore.")
    return Remote(**{**found, _ARRIVED: _ARRIVED in found})
