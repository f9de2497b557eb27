"""Filters: `F` and the nodes that it builds, their JSON form, and their binding to a schema."""

from .nodes import ALL, F, Filter

__all__ = ["ALL", "F", "Filter"]
