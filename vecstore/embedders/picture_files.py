"""Pictures as items: opened the right way up and in RGB, and a few that code draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidMetadata

_SIDE = 64
"""Pixels of the sides of canary pictures."""
_SHAPES = ((48, 160), (160, 48), (400, 300))
"""Height and width of those that tell how a picture that is wide, tall or large becomes what the model takes."""


def open_picture(item: Any) -> Any:
    """Return a ``PIL.Image.Image``, or what is in a picture file, in RGB.

    Raises
    ------
    InvalidMetadata
        The file cannot be read, also that of an image which was opened only.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        if not isinstance(item, Path):
            return ImageOps.exif_transpose(item).convert("RGB")
        with Image.open(item) as picture:
            return ImageOps.exif_transpose(picture).convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        what = repr(str(item)) if isinstance(item, Path) else "A picture"
        raise InvalidMetadata(f"{what} cannot be read as a picture: {type(error).__name__}.") from error


def draw_pictures() -> list[Any]:
    """Return pictures made by code: gradients, a checkerboard, a disc; then rings in other shapes.

    Stores keep the vectors of the first ones, so new ones are added at the end.
    """
    from PIL import Image

    down, across = np.mgrid[0:_SIDE, 0:_SIDE]
    ramp = across * 255 // (_SIDE - 1)
    checks = ((down // 8 + across // 8) % 2) * 255
    disc = (np.hypot(down - _SIDE / 2, across - _SIDE / 2) < _SIDE / 3) * 255
    channels = [(ramp, ramp.T, checks), (checks, checks, checks), (disc, ramp, 255 - disc), (ramp.T, disc, ramp)]
    drawn = [np.stack(each, axis=-1) for each in channels]
    for height, width in _SHAPES:
        down, across = np.mgrid[0:height, 0:width]
        rings = (np.hypot(down - height / 3, across - width / 4) // 11 % 3) * 127
        drawn.append(np.stack((across * 255 // width, rings, down * 255 // height), axis=-1))
    return [Image.fromarray(each.astype(np.uint8)) for each in drawn]
