"""Any torch module as an embedder of pictures, or of whatever its preparation takes."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidArgument, MissingExtra
from .base import Embedder, Role
from .canaries import MAX_CANARIES
from .picture_files import draw_pictures, open_picture
from .vector_checks import Float32Array

if TYPE_CHECKING:
    import torch


class TorchEmbedder(Embedder[Any]):
    """Embed pictures with a torch module: its output for a picture, flattened, is the vector.

    Items are ``PIL.Image.Image`` and ``pathlib.Path`` of picture files; a str is never opened as a path. With
    ``item_types`` and ``canaries`` it embeds anything else that ``prepare`` makes a tensor of.

    Parameters
    ----------
    module : torch.nn.Module
        It is put into evaluation mode. Load its weights with ``torch.load(…, weights_only=True)``.
    prepare : callable
        Turns one item, a picture in RGB, into a tensor without the axis of the batch. All have one shape.
    name : str
        Name of the model, stored with its vectors.
    item_types : tuple of type, optional
        Default: ``PIL.Image.Image`` and ``pathlib.Path``.
    canaries : sequence, optional
        A few fixed items made by code, by whose vectors the model is recognised. Default: generated pictures.
    modality : str
        What the items are.
    device : str
    normalize : bool
        Scale every vector to length 1.
    batch_size : int
        Items per forward pass.

    Raises
    ------
    MissingExtra
        torch or pillow is not installed.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        prepare: Callable[[Any], torch.Tensor],
        *,
        name: str,
        item_types: tuple[type, ...] | None = None,
        canaries: Sequence[Any] | None = None,
        modality: str = "image",
        device: str = "cpu",
        normalize: bool = True,
        batch_size: int = 16,
    ) -> None:
        for library, package in (("torch", "torch"), ("PIL", "pillow")):
            if importlib.util.find_spec(library) is None:
                raise MissingExtra(package, "image")
        if not isinstance(name, str) or not name:
            raise InvalidArgument("name must be a non-empty str that names the model.")
        if not callable(prepare) or not callable(getattr(module, "state_dict", None)):
            raise InvalidArgument("module must be a torch.nn.Module, and prepare a function of one item.")
        if (item_types is None) != (canaries is None):
            raise InvalidArgument("item_types and canaries go together: the canaries are items of these types.")
        if canaries is not None and not 1 <= len(canaries) <= MAX_CANARIES:
            raise InvalidArgument(f"canaries must be 1 to {MAX_CANARIES} items, not {len(canaries)}.")
        self._types = item_types
        self._given_canaries = canaries
        self.modality = modality
        super().__init__(kind="torch", model=name, normalize=normalize, batch_size=batch_size)
        self._device = device
        self._module = module.to(device).eval()
        self._prepare = prepare
        self._revision: str | None = None

    @property
    def item_types(self) -> tuple[type, ...]:
        """The types of items that it takes."""
        if self._types is not None:
            return self._types
        from PIL.Image import Image

        return (Image, Path)

    def _encode(self, items: list[Any], role: Role, /) -> Float32Array:
        import torch

        tensors = [self._prepare(item if self._types else open_picture(item)) for item in items]
        try:
            batch = torch.stack(tensors).to(self._device)
        except (RuntimeError, TypeError) as error:
            raise InvalidArgument("prepare must return tensors of one shape, whatever the item.") from error
        with self._lock, torch.inference_mode():
            found = self._module(batch)
        if not isinstance(found, torch.Tensor) or found.shape[:1] != (len(items),):
            raise InvalidArgument(f"{self.name!r} must return a tensor with one row for each item.")
        return np.asarray(found.reshape(len(items), -1).float().cpu().numpy(), np.float32)

    def _canaries(self) -> Sequence[Any]:
        return draw_pictures() if self._given_canaries is None else self._given_canaries

    def _details(self) -> Mapping[str, Any]:
        with self._lock:
            if self._revision is None:
                self._revision = _hash_weights(self._module)
        return {"revision": self._revision}


def _hash_weights(module: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        array = tensor.detach().float().cpu().numpy()
        digest.update(f"{name} {array.shape}\n".encode())
        digest.update(array.astype("<f4").tobytes())
    return f"sha256:{digest.hexdigest()}"
