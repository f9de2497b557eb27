"""Models of sentence-transformers that put pictures and texts into one space, such as CLIP."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidArgument, MissingExtra
from .base import Embedder, Role
from .canaries import CANARY_TEXTS
from .long_texts import OnLong
from .picture_files import draw_pictures, open_picture
from .sentence_transformers import SentenceTransformersEmbedder
from .vector_checks import Float32Array

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class ClipEmbedder(Embedder[Any]):
    """Embed texts and pictures with one model of sentence-transformers, so that a text finds pictures.

    Items are str, which are always texts, ``PIL.Image.Image``, and ``pathlib.Path`` of picture files.

    Parameters
    ----------
    model : str, path or SentenceTransformer
        A name on the Hugging Face Hub such as ``"sentence-transformers/clip-ViT-B-32"``, a directory, or a loaded
        model.
    name, revision, device
        As for `SentenceTransformersEmbedder`.
    normalize : bool
        Scale every vector to length 1.
    batch_size : int
        Items per forward pass.
    on_long : {"truncate", "error", "mean"}
        What becomes of a text with more tokens than the model reads, of which CLIP reads 77.

    Raises
    ------
    MissingExtra
        sentence-transformers or pillow is not installed.
    """

    modality = "text+image"

    def __init__(
        self,
        model: str | os.PathLike[str] | SentenceTransformer,
        *,
        name: str | None = None,
        revision: str | None = None,
        device: str | None = None,
        normalize: bool = True,
        batch_size: int = 32,
        on_long: OnLong = "truncate",
    ) -> None:
        for library, package in (("sentence_transformers", "sentence-transformers"), ("PIL", "pillow")):
            if importlib.util.find_spec(library) is None:
                raise MissingExtra(package, "clip")
        self._texts = SentenceTransformersEmbedder(
            model, name=name, revision=revision, device=device, normalize=normalize, batch_size=batch_size
        )
        super().__init__(
            kind="clip", model=self._texts._model, normalize=normalize, batch_size=batch_size, on_long=on_long
        )

    @classmethod
    def from_spec(cls, model: str | None) -> ClipEmbedder:
        """Build from the part after the colon of ``clip:MODEL``."""
        if model is None:
            raise InvalidArgument("The model is missing. Write clip:NAME or clip:/path/of/a/directory.")
        return cls(model)

    @property
    def item_types(self) -> tuple[type, ...]:
        """The types of items that it takes."""
        from PIL.Image import Image

        return (str, Image, Path)

    def _encode(self, items: list[Any], role: Role, /) -> Float32Array:
        self._check_model()
        texts = [place for place, item in enumerate(items) if isinstance(item, str)]
        pictures = [place for place, item in enumerate(items) if not isinstance(item, str)]
        parts = []
        if texts:
            parts.append(self._texts._encode([items[place] for place in texts], role))
        if pictures:
            parts.append(self._encode_pictures([open_picture(items[place]) for place in pictures]))
        rows = np.empty((len(items), parts[0].shape[1]), np.float32)
        rows[texts + pictures] = np.concatenate(parts)
        return rows

    def _encode_pictures(self, pictures: list[Any]) -> Float32Array:
        with self._lock:
            rows = self._texts.load_model().encode(
                [{"image": picture} for picture in pictures],
                prompt="",  # one is text, and a picture has none
                batch_size=len(pictures),
                show_progress_bar=False,
                convert_to_numpy=True,
            )
            return np.asarray(rows, np.float32)

    def _check_model(self) -> None:
        modalities = self._texts.load_model().modalities
        if not {"text", "image"} <= {name for name in modalities if isinstance(name, str)}:
            raise InvalidArgument(
                f"{self.name!r} does not take both texts and pictures. For texts alone, use "
                "SentenceTransformersEmbedder."
            )

    def _max_tokens(self) -> int | None:
        return self._texts._max_tokens()

    def _count_tokens(self, texts: list[Any], role: Role, /) -> Sequence[int]:
        words = [text for text in texts if isinstance(text, str)]
        counts = iter(self._texts._count_tokens(words, role) if words else ())
        return [next(counts) if isinstance(text, str) else 1 for text in texts]

    def _canaries(self) -> Sequence[Any]:
        return [*CANARY_TEXTS, *draw_pictures()]

    def _details(self) -> Mapping[str, Any]:
        self._check_model()
        return self._texts._details()
