"""Molecules by Morgan fingerprints: rdkit's own as the oracle, and the order by Tanimoto."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vecstore import Record, Schema, connect
from vecstore.embedders import Embedder, MorganEmbedder
from vecstore.errors import EmbedderMismatch, InvalidArgument, InvalidMetadata, MissingExtra
from vecstore.metric import Metric
from vecstore.testing import EmbedderSuite

DRUGS = {
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O", "salicylic acid": "OC(=O)c1ccccc1O",
    "ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "naproxen": "COc1ccc2cc(ccc2c1)C(C)C(=O)O",
    "caffeine": "CN1C=NC2=C1C(=O)N(C(=O)N2C)C", "theophylline": "Cn1c2c(c(=O)n(c1=O)C)[nH]cn2",
    "morphine": "CN1CC[C@]23c4c5ccc(O)c4O[C@H]2[C@@H](O)C=C[C@H]3[C@H]1C5",
    "codeine": "CN1CC[C@]23c4c5ccc(OC)c4O[C@H]2[C@@H](O)C=C[C@H]3[C@H]1C5",
}  # fmt: skip
PAIRS = [
    ("aspirin", "salicylic acid"),
    ("ibuprofen", "naproxen"),
    ("caffeine", "theophylline"),
    ("morphine", "codeine"),
]


class TestContract(EmbedderSuite):
    items = tuple(DRUGS.values())

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[int], Embedder[Any]]:
        return lambda size: MorganEmbedder(batch_size=size)


def measure_tanimoto(one: str, other: str, radius: int = 2, dim: int = 1024) -> float:
    """Return what rdkit says."""
    from rdkit import Chem, DataStructs
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    generator = GetMorganGenerator(radius=radius, fpSize=dim)
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(each)) for each in (one, other)]
    return float(DataStructs.TanimotoSimilarity(*prints))


def test_the_order_of_a_search_becomes_that_of_tanimoto() -> None:
    embedder = MorganEmbedder()
    with connect("memory:") as db:
        store = db.create("drugs", Schema(dim=embedder.dim), embedder=embedder)
        store.upsert(Record(name, text=smiles) for name, smiles in DRUGS.items())
        moved = 0
        for one, other in [*PAIRS, *(pair[::-1] for pair in PAIRS)]:
            hits = store.search(DRUGS[one], k=8, include={"text"})
            ranked = embedder.rank(DRUGS[one], hits)
            assert [hit.id for hit in ranked][:2] == [one, other]
            for hit in ranked:
                assert hit.score == pytest.approx(measure_tanimoto(DRUGS[one], DRUGS[hit.id]))
                assert hit.distance == pytest.approx(1 - hit.score)
                # What makes a ranking of a few hits right: nothing left out can be better than the last cosine.
                assert hit.score <= next(each.score for each in hits if each.id == hit.id) + 1e-6
            assert [hit.score for hit in ranked] == sorted((hit.score for hit in ranked), reverse=True)
            moved += [hit.id for hit in ranked] != [hit.id for hit in hits]
            assert embedder.rank(DRUGS[one], hits, k=3) == ranked[:3]
        assert moved > 0  # or nothing of this would need rank
        assert embedder.rank("CCO", []) == []
        with pytest.raises(InvalidArgument, match="include"):
            embedder.rank("CCO", store.search("CCO", k=1, include=set()))
        with pytest.raises(InvalidArgument, match="k must be"):
            embedder.rank("CCO", [], k=0)
        with pytest.raises(InvalidMetadata, match="query is no molecule"):
            embedder.rank("no", store.search("CCO", k=1, include={"text"}))


@pytest.mark.parametrize(
    "smiles, match",
    [("no molecule", "beside its SMILES"), ("CCO ethanol", "beside its SMILES"), ("C\0C", "beside its SMILES"),
     ("C1CC", "no molecule in SMILES"), ("c1cccc1", "no molecule in SMILES"), ("ethanol", "no molecule in SMILES")],
)  # fmt: skip
def test_what_is_no_molecule_is_named_and_not_shown(smiles: str, match: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidMetadata, match=match) as caught:
        MorganEmbedder().embed_documents(["CCO", smiles])
    assert str(caught.value).startswith("documents[1] ")
    assert smiles not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_spellings_of_one_molecule_have_one_vector() -> None:
    one, same, mirrored = MorganEmbedder().embed_documents(["C[C@H](N)C(=O)O", "OC(=O)[C@H](C)N", "C[C@@H](N)C(=O)O"])
    assert np.array_equal(one, mirrored)
    assert np.array_equal(one, same)
    one, mirrored = MorganEmbedder(chirality=True).embed_documents(["C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"])
    assert not np.array_equal(one, mirrored)


def test_what_changes_vectors_is_the_identity() -> None:
    assert MorganEmbedder().identity.check(MorganEmbedder(batch_size=2), Metric.COSINE) is None
    for other in (MorganEmbedder(3), MorganEmbedder(dim=2048), MorganEmbedder(chirality=True)):
        with pytest.raises(EmbedderMismatch):
            MorganEmbedder().identity.check(other, Metric.COSINE)
    assert MorganEmbedder().config["modality"] == "molecule"


def test_arguments_that_cannot_work_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    options: Any
    for options in ({"radius": -1}, {"radius": 2.0}, {"dim": 8}, {"dim": 20_000}, {"chirality": 1}):
        with pytest.raises(InvalidArgument, match=next(iter(options))):
            MorganEmbedder(**options)
    monkeypatch.setitem(sys.modules, "rdkit.Chem.rdFingerprintGenerator", None)
    with pytest.raises(MissingExtra, match=r"vecstore-db\[chem\]"):
        MorganEmbedder()


def test_a_new_text_is_another_molecule() -> None:
    embedder = MorganEmbedder()
    with connect("memory:") as database:
        store = database.create("drugs", Schema(dim=embedder.dim), embedder=embedder)
        store.upsert(Record(name, text=DRUGS[name]) for name in ("aspirin", "caffeine"))
        store.update(ids=["caffeine"], text=DRUGS["naproxen"])
        assert store.search(DRUGS["naproxen"], k=1)[0].id == "caffeine"
        with pytest.raises(InvalidMetadata):
            store.update(ids=["aspirin"], text="no molecule")
        (kept,) = store.get(["aspirin"])
        assert kept is not None
        assert kept.text == DRUGS["aspirin"]
