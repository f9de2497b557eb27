"""Examples of embeddings: each is one command, works offline, and checks a figure against a baseline.

``make examples`` runs all and prints one table; ``python -m examples.embeddings.vectorizing`` runs one.
"""
