"""Embedders around another one that keep its identity: cached, retried, limited in rate."""
