"""The kinds of vectorisers that a file may name. Nothing else is ever loaded."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

KINDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "bag-of-words": ("bag_of_words", "BagOfWords"),
        "categorical": ("categorical", "Categorical"),
        "hashing": ("hashing", "Hashing"),
        "lookup": ("lookup_table", "Lookup"),
        "one-hot": ("one_hot", "OneHot"),
        "tfidf": ("tfidf", "Tfidf"),
        "word-vectors": ("word_vectors", "WordVectors"),
    }
)
"""The module and the class of each name."""
