"""The kinds of vectorisers that a file may name. Nothing else is ever loaded."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

KINDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "bag-of-words": ("bag_of_words", "BagOfWords"),
        "categorical": ("categorical", "Categorical"),
        "doc2vec": ("paragraph_vectors", "Doc2Vec"),
        "hashing": ("hashing", "Hashing"),
        "lookup": ("lookup_table", "Lookup"),
        "one-hot": ("one_hot", "OneHot"),
        "series-autoencoder": ("recurrent_series", "SeriesAutoencoder"),
        "tfidf": ("tfidf", "Tfidf"),
        "word-vectors": ("word_vectors", "WordVectors"),
    }
)
"""The module and the class of each name."""
