"""A PostgreSQL server of one's own: ``postgresql+embedded:``."""
