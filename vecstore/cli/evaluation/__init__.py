"""`vecstore eval`: how good an index, searches and vectors are."""

from __future__ import annotations

from . import judging, labelling, measuring, searching

HELP = """
Measure how good an index, searches and vectors are.

Every figure comes with its baseline, what knows nothing would reach, and with the number of cases it rests on.
"""

COMMANDS = (
    searching.index, searching.search, judging.sts, judging.analogy, labelling.retrieve, labelling.probe,
    labelling.cluster, measuring.drift, measuring.outliers, measuring.health, measuring.dedup,
)  # fmt: skip
