"""Conversion of a user's records to the rows that a backend stores, and back."""
