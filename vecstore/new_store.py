"""What a new store gets from its embedder, or from the identity of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .embedders.identity import Identity
from .errors import DimensionMismatch, InvalidArgument
from .schema import Schema

if TYPE_CHECKING:
    from .embedders.base import Embedder


def check_identity(identity: Identity | None, embedder: Embedder[Any] | None) -> int | None:
    """Return the dimension of an identity that is given instead of an embedder.

    Raises
    ------
    InvalidArgument
    """
    if identity is None:
        return None
    if not isinstance(identity, Identity):
        raise InvalidArgument(f"identity must be an Identity, not {type(identity).__name__}.")
    if embedder is not None:
        raise InvalidArgument("Give either an embedder or an identity. An embedder has its own identity.")
    return int(identity.canaries.shape[2])


def fill_dim(schema: Schema, dim: int | None) -> Schema:
    """Return the schema with the dimension of an embedder, which is None without one.

    Raises
    ------
    InvalidArgument, DimensionMismatch
    """
    if dim is None:
        if schema.dim is None:
            raise InvalidArgument("The schema has no dim. Give Schema(dim=…) or an embedder.")
        return schema
    if schema.dim is None:
        return schema.with_dim(dim)
    if schema.dim != dim:
        raise DimensionMismatch(
            f"The schema has dim={schema.dim}, but the embedder makes {dim} dimensions. Leave dim out."
        )
    return schema
