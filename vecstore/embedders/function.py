"""Any callable as an embedder: a model of one's own, a service, a stand-in for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from numpy.typing import ArrayLike

from ..errors import InvalidArgument
from .base import Embedder, Role

EncodeFunction: TypeAlias = Callable[[list[str]], ArrayLike]


class FunctionEmbedder(Embedder):
    """Embed with a callable that turns a list of str into one row per str.

    Parameters
    ----------
    fn : callable
        ``fn(list of str) -> array-like of shape (n, dim)``. May be called by several threads at once.
    dim : int
        Length of its vectors.
    name : str
        What a store remembers it by. Change it whenever the function makes other vectors; put no
        secret into it.
    query_fn : callable, optional
        The same for queries, where they are encoded differently.
    normalize : bool
        Scale every vector to length 1.
    batch_size : int
        Texts per call, at most.
    allow_zero : bool
        Let vectors of length 0 pass, which ``ip`` and ``l2`` can work with.
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
            raise InvalidArgument("name must say which model the function stands for.")
        super().__init__(
            kind="function", model=name, dim=dim, normalize=normalize, batch_size=batch_size, allow_zero=allow_zero
        )
        self._functions = {"document": fn, "query": query_fn or fn}

    def _encode(self, texts: list[str], role: Role) -> ArrayLike:
        return self._functions[role](texts)
