"""Finding equal codes by a hash, so that they share one node of a graph.

Rows at distance zero fill each other's lists of neighbours: a few dozen copies of one vector are an island
that no search leaves, and keep others from being found. As one node they are harmless.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Nodes = NDArray[np.int32]
Coded = NDArray[np.uint8]

_SEED = 20_260
_PIECE = 256
"""How many rows are widened at a time."""
_CHUNK = 8_192


def view_codes(scanner: Any) -> Coded:
    """Return the codes of a FAISS index, shape (n, width), without a copy; they must not outlive it."""
    import faiss

    count, width = int(scanner.ntotal), int(scanner.code_size)
    if not count:
        return np.empty((0, width), np.uint8)
    coded: Coded = faiss.rev_swig_ptr(scanner.codes.data(), count * width).reshape(count, width)
    return coded


class DistinctCodes:
    """The codes of a graph, by hash; codes with equal hashes are compared."""

    def __init__(self, scanner: Any) -> None:
        self._scanner = scanner
        # float16 codes: two bytes each, as many random odd numbers.
        draw = np.random.default_rng(_SEED)
        self._factors: NDArray[np.uint64] = draw.integers(0, 2**63, int(scanner.code_size) // 2, np.uint64) * 2 + 1
        coded = view_codes(scanner)
        pieces = [self._hash(coded[start : start + _CHUNK]) for start in range(0, len(coded), _CHUNK)]
        hashes = np.concatenate([np.empty(0, np.uint64), *pieces])
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._nodes = hashes[order], order.astype(np.int32)

    def assign_nodes(self, coded: Coded) -> tuple[Nodes, NDArray[np.intp]]:
        """Return the node of each row, and which rows begin new nodes; the caller adds these, in that order.

        Parameters
        ----------
        coded : ndarray of uint8, shape (n, width)
        """
        hashes = self._hash(coded)
        nodes, stands, begins = self._compare(hashes, coded)
        nodes[begins] = int(self._scanner.ntotal) + np.arange(len(begins))
        nodes = np.where(nodes < 0, nodes[stands], nodes)
        self._remember(hashes[begins], nodes[begins])
        return nodes, begins

    def find_new(self, coded: Coded) -> NDArray[np.intp]:
        """Return the rows that would begin new nodes."""
        return self._compare(self._hash(coded), coded)[2]

    def _compare(self, hashes: NDArray[np.uint64], coded: Coded) -> tuple[Nodes, NDArray[np.intp], NDArray[np.intp]]:
        """Return the node of each row, -1 if it has none; the row that stands for it; and those that begin nodes."""
        _, firsts, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        # Among rows with the same hash, the first represents its equals; the others represent themselves.
        stands = firsts[inverse]
        stands = np.where((coded == coded[stands]).all(axis=1), stands, np.arange(len(coded)))
        nodes = self._find_nodes(hashes, coded)
        return nodes, stands, np.flatnonzero((stands == np.arange(len(coded))) & (nodes < 0))

    def _find_nodes(self, hashes: NDArray[np.uint64], coded: Coded) -> Nodes:
        """Return the nodes that already have the codes of rows, -1 if there is none."""
        places = np.searchsorted(self._hashes, hashes)
        inside = places < len(self._hashes)
        inside[inside] = self._hashes[places[inside]] == hashes[inside]
        nodes = np.full(len(hashes), -1, np.int32)
        rows = np.flatnonzero(inside)
        found = self._nodes[places[rows]]
        same = (view_codes(self._scanner)[found] == coded[rows]).all(axis=1)
        nodes[rows[same]] = found[same]
        return nodes

    def _remember(self, hashes: NDArray[np.uint64], nodes: Nodes) -> None:
        order = np.argsort(hashes, kind="stable")
        places = np.searchsorted(self._hashes, hashes[order])
        self._hashes = np.insert(self._hashes, places, hashes[order])
        self._nodes = np.insert(self._nodes, places, nodes[order])

    def _hash(self, coded: Coded) -> NDArray[np.uint64]:
        words = np.ascontiguousarray(coded).view(np.uint16)
        hashes: NDArray[np.uint64] = np.empty(len(words), np.uint64)
        for start in range(0, len(words), _PIECE):
            some = slice(start, start + _PIECE)
            # Modulo 2⁶⁴: a different word changes the sum unless other words compensate.
            hashes[some] = words[some].astype(np.uint64) @ self._factors
        return hashes
