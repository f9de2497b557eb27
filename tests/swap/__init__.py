"""Stores that are copied and moved between Databases."""
