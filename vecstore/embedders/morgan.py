"""Molecules by Morgan fingerprints, and their order by the Tanimoto coefficient.

Rogers and Hahn, Extended-connectivity fingerprints, 2010.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidArgument, MissingExtra
from .base import Embedder, Role, check_whole
from .vector_checks import Float32Array

if TYPE_CHECKING:
    from ..hits import Hit

_CANARIES = (
    "CCO",
    "c1ccccc1O",
    "CC(=O)Oc1ccccc1C(=O)O",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "C[C@H](N)C(=O)O",
    "[Na+].[Cl-]",
)
_MOST_DIM = 16_000


class MorganEmbedder(Embedder[str]):
    """Embed a molecule, given in SMILES, as its Morgan fingerprint: a bit for each kind of surroundings of an atom.

    The cosine of two fingerprints is never below their Tanimoto coefficient, so `rank` can put the hits of a search
    in the order of Tanimoto and tell whether another molecule could have been better.

    Parameters
    ----------
    radius : int
        How many bonds around an atom count. 2 is what is known as ECFP4.
    dim : int
        Bits. Fewer make more surroundings share one.
    chirality : bool
        Whether mirror images differ.
    batch_size : int

    Raises
    ------
    MissingExtra
        rdkit is not installed.
    """

    modality = "molecule"
    takes_texts = True

    def __init__(self, radius: int = 2, *, dim: int = 1024, chirality: bool = False, batch_size: int = 256) -> None:
        if check_whole("dim", dim, 16) > _MOST_DIM:
            raise InvalidArgument(f"dim must be at most {_MOST_DIM}, not {dim}.")
        if not isinstance(chirality, bool):
            raise InvalidArgument(f"chirality must be True or False, not {chirality!r}.")
        check_whole("radius", radius, 0)
        try:
            from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
        except ImportError as error:
            raise MissingExtra("rdkit", "chem") from error
        super().__init__(kind="morgan", model=f"radius-{radius}", dim=dim, batch_size=batch_size)
        self._radius = radius
        self._chirality = chirality
        self._generator: Any = GetMorganGenerator(radius=radius, fpSize=dim, includeChirality=chirality)

    def rank(self, query: str, hits: Iterable[Hit], *, k: int | None = None) -> list[Hit]:
        """Return hits in the order of their Tanimoto coefficient with a molecule, which becomes their score.

        Search for more hits than you want, ``store.search(query, k=50, include={"text"})``, and rank them: the first
        ``k`` of what comes back. No molecule that the search left out can be better than the score by cosine of the
        last hit that it found.

        Parameters
        ----------
        query : str
            In SMILES.
        hits : iterable of Hit
            With their texts, which are in SMILES.
        k : int, optional
            How many to return. Default: all.

        Returns
        -------
        list of Hit
            The best first, then by id. ``distance`` is 1 minus the score.

        Raises
        ------
        InvalidArgument, InvalidMetadata
            A hit has no text, or one that is no molecule.
        """
        listed = list(hits)
        if k is not None:
            check_whole("k", k)
        for hit in listed:
            if hit.text is None:
                raise InvalidArgument(f"Hit {hit.id!r} has no text. Search with include={{'text'}}.")
        texts = [str(hit.text) for hit in listed]
        bits = self.embed_documents(texts, label=lambda position: f"hit {listed[position].id!r}") > 0
        wanted = self.embed_queries([query], label=lambda _: "query")[0] > 0
        both, either = (bits & wanted).sum(axis=1), (bits | wanted).sum(axis=1)
        scores = both / np.maximum(either, 1)
        ranked = [
            replace(hit, score=float(score), distance=float(1 - score))
            for hit, score in zip(listed, scores, strict=True)
        ]
        return sorted(ranked, key=lambda hit: (-hit.score, hit.id))[:k]

    def _find_fault(self, item: str) -> str | None:
        if len(item.split()) != 1 or not item.isprintable():
            # rdkit takes what follows a blank for the molecule's name, and "I am" for an atom of iodine.
            return "has something beside its SMILES. Give the SMILES alone."
        molecule = _parse(item)
        return None if molecule is not None and molecule.GetNumAtoms() else "is no molecule in SMILES that rdkit reads."

    def _encode(self, items: list[str], role: Role, /) -> Float32Array:
        return np.stack([self._generator.GetFingerprintAsNumPy(_parse(item)) for item in items]).astype(np.float32)

    def _canaries(self) -> Sequence[str]:
        return _CANARIES

    def _details(self) -> Mapping[str, Any]:
        return {"radius": self._radius, "chirality": self._chirality}


def _parse(smiles: str) -> Any:
    """Return the molecule of a SMILES, or None."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():  # it would write the text to standard error
        return Chem.MolFromSmiles(smiles)
