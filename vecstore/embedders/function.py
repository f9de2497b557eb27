"""Any callable as an embedder: your own model, a service, or a stand-in for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from numpy.typing import ArrayLike

from ..errors import InvalidArgument
from .base import Embedder, Role

EncodeFunction: TypeAlias = Callable[[list[str]], ArrayLike]


class FunctionEmbedder(Embedder[str]):
    """Embed with a callable that turns a list of str into one row per str.

    Parameters
    ----------
    fn : callable
        ``fn(list of str) -> array-like of shape (n, dim)``. May be called by several threads at once.
    dim : int
        Length of its vectors.
    name : str
        Name of the model, stored with its vectors. Change it whenever the function makes different vectors.
        It must not contain a secret.
    query_fn : callable, optional
        The same for queries, if they are encoded differently.
    normalize : bool
        Scale every vector to length 1.
    batch_size : int
        At most this many texts per call.
    allow_zero : bool
        Accept vectors of length 0, which ``ip`` and ``l2`` allow.
    """

    def __init__(
        self,
        fn: EncodeFunction,
        *,
        dim: int,
        name: str,
        query_fn: EncodeFunction | None = None,
        normalize: bool = False,
        batch_size: int = 256,
        allow_zero: bool = False,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise InvalidArgument("name must be a non-empty str that names the model behind the function.")
        super().__init__(
            kind="function", model=name, dim=dim, normalize=normalize, batch_size=batch_size, allow_zero=allow_zero
        )
        self._functions = {"document": fn, "query": query_fn or fn}

    def _encode(self, texts: list[str], role: Role, /) -> ArrayLike:
        return self._functions[role](texts)
