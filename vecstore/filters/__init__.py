"""Filters: nodes and `F` to build them with, their JSON form, and how they are bound to a schema."""

from .nodes import ALL, F, Filter

__all__ = ["ALL", "F", "Filter"]
