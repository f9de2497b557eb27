"""A directory of files: the embedded default."""
