"""The folder of a saved vectoriser: ``vectorizer.json`` and ``weights.safetensors``.

The JSON file holds the SHA-256 of the weights and, in its last line but one, of itself without that line. A reader
believes nothing before both are right, and after that every type, length and shape is checked all the same: whoever can
change a file can also write a new sum. Nothing in the files names code.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidArgument, MissingExtra, ModelDamaged, StorageFailed
from .saved_model import SavedModel

FORMAT = 1
DESCRIPTION = "vectorizer.json"
WEIGHTS = "weights.safetensors"

_MOST = {DESCRIPTION: 256 << 20, WEIGHTS: 4 << 30}
_MOST_HEADER = 1 << 20
_MOST_ARRAYS = 64
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_KEYS = {"format", "kind", "params", "vocabulary", "canaries", "fit", "libraries", "weights_sha256"}
_TYPES: Mapping[str, type] = {
    "kind": str, "params": dict, "vocabulary": list, "canaries": list, "fit": dict, "libraries": dict,
}  # fmt: skip
_SEAL = re.compile(rb',\n  "sha256": "([0-9a-f]{64})"\n}\n\Z')


def serialize(model: SavedModel) -> tuple[bytes, bytes]:
    """Return the bytes of both files. The same model has the same bytes.

    Raises
    ------
    MissingExtra
        safetensors is not installed.
    """
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise MissingExtra("safetensors", "vectorizers") from error

    weights: bytes = save({name: np.ascontiguousarray(model.arrays[name]) for name in sorted(model.arrays)})
    described = {
        "format": FORMAT,
        **{name: getattr(model, name) for name in _TYPES},
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    try:
        lines = [
            f'  "{name}": {json.dumps(value, ensure_ascii=False, allow_nan=False)}' for name, value in described.items()
        ]
        plain = ("{\n" + ",\n".join(lines) + "\n}\n").encode()
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"The model cannot be saved as JSON: {error}.") from error
    seal = hashlib.sha256(plain).hexdigest()
    return plain.removesuffix(b"\n}\n") + f',\n  "sha256": "{seal}"\n}}\n'.encode(), weights


def write_folder(folder: str | os.PathLike[str], description: bytes, weights: bytes) -> None:
    """Write both files into a new folder, which appears complete or not at all.

    Raises
    ------
    InvalidArgument
        There is something with that name.
    StorageFailed
    """
    target = Path(folder).expanduser()
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise InvalidArgument(f"{str(target)!r} exists. Each fit is a model of its own: give it a new folder.")
    begun = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        begun.mkdir()
        for name, content in ((WEIGHTS, weights), (DESCRIPTION, description)):
            with open(begun / name, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _sync(begun)
        os.rename(begun, target)
        _sync(target.parent)
    except OSError as error:
        _remove(begun)
        raise StorageFailed(f"The model could not be saved in {str(target)!r}: {error.strerror}.") from error


def read_folder(folder: str | os.PathLike[str]) -> tuple[SavedModel, str]:
    """Return the model in a folder, and the SHA-256 of its description, which covers both files.

    Raises
    ------
    InvalidArgument
        There is none, or a newer vecstore saved it.
    ModelDamaged, MissingExtra
    """
    place = Path(folder).expanduser()
    if not place.is_dir():
        raise InvalidArgument(f"There is no folder {str(place)!r} with a model.")
    description, weights = _read(place, DESCRIPTION), _read(place, WEIGHTS)
    described = _parse(description)
    if hashlib.sha256(weights).hexdigest() != described["weights_sha256"]:
        raise ModelDamaged(f"{WEIGHTS} is not the file that {DESCRIPTION} was saved with. {_AGAIN}")
    parts = {name: described[name] for name in _TYPES}
    return SavedModel(**parts, arrays=_parse_weights(weights)), hash_description(description)


def hash_description(description: bytes) -> str:
    """Return the SHA-256 of a description. It contains that of the weights, so it stands for both files."""
    return hashlib.sha256(description).hexdigest()


_AGAIN = "Save the model again, or restore both files from a backup."


def _read(place: Path, name: str) -> bytes:
    # No link is followed and no pipe waited for: the folder may come from anybody.
    try:
        number = os.open(place / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise InvalidArgument(f"{str(place)!r} has no {name}, so it is not the folder of a vectoriser.") from error
    except OSError as error:
        raise ModelDamaged(f"{name} cannot be read as a regular file: {error.strerror}.") from error
    found = os.fstat(number)
    if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST[name]:
        os.close(number)
        raise ModelDamaged(f"{name} is no regular file of at most {_MOST[name] >> 20} MiB.")
    with open(number, "rb") as file:
        return file.read(_MOST[name] + 1)


def _parse(description: bytes) -> dict[str, Any]:
    sealed = _SEAL.search(description[-128:])
    # The seal may be of a future form, so the number of the format is looked for first.
    newer = re.match(rb'\{\n  "format": (\d{1,9}),\n', description)
    if newer is not None and int(newer[1]) > FORMAT:
        raise InvalidArgument(
            f"A newer vecstore saved this model, in format {int(newer[1])}; this one reads up to {FORMAT}. "
            "Upgrade vecstore-db."
        )
    plain = b"" if sealed is None else description[: len(description) - len(sealed[0])] + b"\n}\n"
    if sealed is None or hashlib.sha256(plain).hexdigest().encode() != sealed[1]:
        raise ModelDamaged(f"{DESCRIPTION} is damaged: its checksum is not that of its content. {_AGAIN}")
    try:
        described: Any = json.loads(plain, parse_constant=_refuse_constant, object_pairs_hook=_refuse_twins)
    except (ValueError, RecursionError) as error:
        raise ModelDamaged(f"{DESCRIPTION} is no plain JSON.") from error
    if not isinstance(described, dict) or set(described) != _KEYS:
        raise ModelDamaged(f"{DESCRIPTION} should have exactly {', '.join(sorted(_KEYS))}.")
    if type(described["format"]) is not int or described["format"] != FORMAT:
        raise ModelDamaged(f"{DESCRIPTION} has no format of a number that this vecstore knows.")
    for name, kind in _TYPES.items():
        if type(described[name]) is not kind:
            raise ModelDamaged(f"{name!r} in {DESCRIPTION} is {type(described[name]).__name__}.")
    return described


def _parse_weights(weights: bytes) -> dict[str, NDArray[np.float32]]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load
    except ImportError as error:
        raise MissingExtra("safetensors", "vectorizers") from error

    header = int.from_bytes(weights[:8], "little")
    if len(weights) < 8 or header > min(_MOST_HEADER, len(weights) - 8):
        raise ModelDamaged(f"{WEIGHTS} has a header of {header} bytes.")
    try:
        arrays = load(weights)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise ModelDamaged(f"{WEIGHTS} is not in the format of safetensors.") from error
    if len(arrays) > _MOST_ARRAYS:
        raise ModelDamaged(f"{WEIGHTS} has {len(arrays)} arrays.")
    for name, array in arrays.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise ModelDamaged(f"{WEIGHTS} has an array {name[:40]!a} that is not of finite float32.")
        array.setflags(write=False)
    return dict(arrays)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _refuse_twins(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a key appears twice")
    return found


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _remove(folder: Path) -> None:
    """Remove what an interrupted save has begun, as far as that is possible."""
    for name in (WEIGHTS, DESCRIPTION):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir():
        folder.rmdir()
