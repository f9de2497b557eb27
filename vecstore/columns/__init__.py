"""Records as columns: Arrow data and numpy arrays, checked by column, on their way to a backend and back."""

from .given import Columns

__all__ = ["Columns"]
