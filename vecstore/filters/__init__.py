"""Filters: `F` and the nodes that it builds, their JSON form, and their binding to a schema."""

from .field_ref import F
from .nodes import ALL, NOTHING, Filter

__all__ = ["ALL", "NOTHING", "F", "Filter"]
