"""An embedder around another one: the same items, vectors and identity, reached in another way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from ...errors import InvalidArgument
from ..base import Embedder, Role, T


class Wrapper(Embedder[T]):
    """Hands everything on to another embedder. What is below changes how, and never what.

    Parameters
    ----------
    inner : Embedder
    """

    def __init__(self, inner: Embedder[T]) -> None:
        if not isinstance(inner, Embedder):
            raise InvalidArgument(f"{type(self).__name__} takes an Embedder, not {type(inner).__name__}.")
        if inner._is_outermost:
            raise InvalidArgument(
                f"{type(inner).__name__} goes around the others: {type(inner).__name__}({type(self).__name__}(…))."
            )
        super().__init__(
            kind=inner._kind, model=inner._model, normalize=inner._normalize, truncate_dim=inner._truncate_dim,
            batch_size=inner._batch_size, allow_zero=inner._allow_zero, on_unknown=inner._on_unknown,
        )  # fmt: skip
        self._long_texts = inner._long_texts
        self._inner = inner
        self.modality = inner.modality

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._inner!r}>"

    @property
    def item_types(self) -> tuple[type, ...]:
        """The types of items that it takes."""
        return self._inner.item_types

    @property
    def takes_texts(self) -> bool:
        """Whether the text of a record is an item for it."""
        return self._inner.takes_texts

    def _find_fault(self, item: T) -> str | None:
        return self._inner._find_fault(item)

    def _check_known(self, items: list[T], label: Callable[[int], str]) -> None:
        self._inner._check_known(items, label)

    @property
    def min_cosine(self) -> float:  # type: ignore[override]
        """How near the canaries must be, which an embedder may know only after its model is loaded."""
        return self._inner.min_cosine

    def _encode(self, items: list[T], role: Role, /) -> ArrayLike:
        return self._inner._encode(items, role)

    def _details(self) -> Mapping[str, Any]:
        return self._inner._details()

    def _policies(self) -> Mapping[str, Any]:
        return self._inner._policies()

    def _max_tokens(self) -> int | None:
        return self._inner._max_tokens()

    def _count_tokens(self, texts: list[str], role: Role, /) -> Sequence[int]:
        return self._inner._count_tokens(texts, role)

    def _weight(self, item: T) -> int:
        return self._inner._weight(item)

    def _canaries(self) -> Sequence[T]:
        return self._inner._canaries()

    def _find_native_dim(self) -> int:
        with self._lock:
            if self._native_dim is None:
                self._native_dim = self._inner._native_dim
        return super()._find_native_dim()
