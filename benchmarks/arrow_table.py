"""The corpus as a table of Arrow columns, which vecstore and its peers are given alike."""

from __future__ import annotations

import pyarrow as pa

from .corpus import Corpus


def make_table(corpus: Corpus) -> pa.Table:
    """Return the rows of a corpus by column; the vectors are not copied."""
    return pa.table(
        {
            "id": pa.array(corpus.ids, pa.string()),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(corpus.vectors.ravel()), corpus.dim),
            "text": pa.array(corpus.texts, pa.string()),
            "section": pa.array([row["section"] for row in corpus.metadata], pa.string()),
            "size": pa.array([row["size"] for row in corpus.metadata], pa.int64()),
        }
    )
