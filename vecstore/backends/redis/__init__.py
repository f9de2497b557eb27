"""Redis with its query engine: a hash for each record, an index over them, scripts that are atomic."""
