"""Backends. None of them imports another, or `store`, `database`, `embedders` or `testing`."""
