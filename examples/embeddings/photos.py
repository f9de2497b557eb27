"""Pieces of photographs that scikit-image, scikit-learn and matplotlib ship."""

from __future__ import annotations

from PIL import Image

from examples.embeddings.package_data import find_data

PHOTOS = {
    ("skimage", "data"): (
        "astronaut.png", "brick.png", "camera.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png",
        "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "page.png",
        "retina.jpg", "rocket.jpg", "text.png",
    ),
    ("sklearn", "datasets", "images"): ("china.jpg", "flower.jpg"),
    ("matplotlib", "mpl-data", "sample_data"): ("grace_hopper.jpg",),
}  # fmt: skip


def read_pieces() -> dict[str, Image.Image]:
    """Return four squares of each photograph, from its corners, by name."""
    pieces = {}
    for (package, *folders), files in PHOTOS.items():
        for file in files:
            with Image.open(find_data(package, *folders, file)) as opened:
                photo = opened.convert("RGB")
            side = min(photo.size) // 2
            for top in (0, photo.height - side):
                for left in (0, photo.width - side):
                    pieces[f"{file} {left}, {top}"] = photo.crop((left, top, left + side, top + side))
    return pieces
