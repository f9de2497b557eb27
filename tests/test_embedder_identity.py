"""Which embedder may use which store: the four cases, and what is read back from storage."""

from __future__ import annotations

import base64
import copy
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.embedder_makers import letters, letters_of_queries, made
from vecstore.embedders import FunctionEmbedder, Identity, WordLlamaEmbedder
from vecstore.embedders.canaries import CANARY_TEXTS
from vecstore.errors import EmbedderMismatch, InvalidArgument, StoreCorrupt
from vecstore.metric import Metric

METRICS = list(Metric)


def function(
    fn: Callable[[list[str]], NDArray[np.float32]] = letters, name: str = "letters", dim: int = 16
) -> FunctionEmbedder:
    return FunctionEmbedder(fn, dim=dim, name=name)


def scaled(factor: float) -> FunctionEmbedder:
    return function(lambda texts: letters(texts) * np.float32(factor))


@pytest.fixture
def stored() -> Identity:
    return Identity.of(function())


def test_canaries_are_varied_and_short() -> None:
    assert len(set(CANARY_TEXTS)) == len(CANARY_TEXTS) == 6
    assert all(text and len(text) < 100 for text in CANARY_TEXTS)
    assert sum(not text.isascii() for text in CANARY_TEXTS) == 1


@pytest.mark.parametrize("metric", METRICS)
def test_same_config_and_same_vectors_open(stored: Identity, metric: Metric) -> None:
    assert stored.check(function(), metric, store="docs") is None


@pytest.mark.parametrize("metric", METRICS)
def test_same_config_and_other_vectors_are_refused(stored: Identity, metric: Metric) -> None:
    with pytest.raises(EmbedderMismatch, match=r"^The model behind 'function:letters' .* changed") as caught:
        stored.check(function(letters_of_queries), metric, store="docs")
    assert "db.rebuild('docs', embedder=...)" in str(caught.value)


@pytest.mark.parametrize("metric", METRICS)
def test_another_config_and_same_vectors_are_accepted_and_noted(
    stored: Identity, metric: Metric, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vecstore")
    noted = stored.check(scaled(1 + 1e-4), metric, store="docs")
    assert noted is None
    renamed = function(lambda texts: letters(texts) * np.float32(1 + 1e-4), name="server/letters")
    noted = stored.check(renamed, metric, store="docs")
    assert noted is not None
    assert noted.config["model"] == "server/letters"
    # Not the new canaries: else many small steps would add up to another model.
    assert noted.canaries is stored.canaries
    assert ["'function:letters'" in message and "server/letters" in message for message in caplog.messages] == [True]


@pytest.mark.parametrize("metric", METRICS)
def test_another_config_and_other_vectors_are_refused(stored: Identity, metric: Metric) -> None:
    other = function(lambda texts: np.ones((len(texts), 3), np.float32), name="threes", dim=3)
    with pytest.raises(EmbedderMismatch) as caught:
        stored.check(other, metric, store="docs")
    for part in ("'docs'", "'function:letters' (16 dimensions)", "'function:threes' (3 dimensions)", "db.rebuild("):
        assert part in str(caught.value)


def test_the_same_name_with_other_settings_says_which() -> None:
    embedder = FunctionEmbedder(letters, dim=16, name="letters", normalize=True)
    with pytest.raises(EmbedderMismatch, match="with different settings: normalized"):
        Identity.of(function()).check(embedder, Metric.IP)


def test_one_role_alone_makes_a_difference(stored: Identity) -> None:
    embedder = FunctionEmbedder(letters, dim=16, name="letters", query_fn=letters_of_queries)
    with pytest.raises(EmbedderMismatch):
        stored.check(embedder, Metric.COSINE)


@pytest.mark.parametrize("factor, same", [(1.005, True), (0.995, True), (1.02, False), (0.98, False), (-1.0, False)])
@pytest.mark.parametrize("metric", METRICS)
def test_norms_count_where_the_metric_looks_at_them(
    stored: Identity, metric: Metric, *, factor: float, same: bool
) -> None:
    assert stored.matches(Identity.of(scaled(factor)), metric) is (same or (metric is Metric.COSINE and factor > 0))


@pytest.mark.parametrize("angle, same", [(0.04, True), (0.05, False)])
def test_one_canary_beyond_the_angle_is_enough(*, angle: float, same: bool) -> None:
    straight = np.zeros((2, 6, 2), np.float32)
    straight[..., 0] = 1
    bent = straight.copy()
    bent[1, 3] = np.cos(angle), np.sin(angle)
    assert Identity({}, straight).matches(Identity({}, bent), Metric.COSINE) is same


def test_vectors_of_zeros_match_only_each_other() -> None:
    ones, zeros = np.ones((2, 6, 4), np.float32), np.zeros((2, 6, 4), np.float32)
    for metric in METRICS:
        assert Identity({}, zeros).matches(Identity({}, zeros), metric)
        assert not Identity({}, zeros).matches(Identity({}, ones), metric)


def test_changed_options_change_the_identity() -> None:
    small, raw = WordLlamaEmbedder(64), WordLlamaEmbedder(normalize=False)
    configs = [json.dumps(embedder.config, sort_keys=True) for embedder in (made("wordllama"), small, raw)]
    assert len(set(configs)) == 3
    with pytest.raises(EmbedderMismatch, match="64 dimensions"):
        made("wordllama").identity.check(small, Metric.COSINE)
    # Scaling is all that differs, and cosine does not see it.
    assert made("wordllama").identity.check(raw, Metric.COSINE) is not None
    with pytest.raises(EmbedderMismatch, match="normalized"):
        made("wordllama").identity.check(raw, Metric.L2)


def test_the_canaries_are_embedded_once_per_embedder() -> None:
    calls = 0

    def counting(texts: list[str]) -> NDArray[np.float32]:
        nonlocal calls
        calls += 1
        return letters(texts)

    embedder = function(counting)
    first = Identity.of(embedder)
    assert first.check(embedder, Metric.COSINE) is None
    assert Identity.of(embedder) is first
    assert calls == 2


def test_an_object_that_keeps_no_identity_is_measured() -> None:
    class Plain:
        config: Mapping[str, Any] = {"kind": "own", "model": "plain", "dim": 16, "layers": (1, 2)}

        def embed_documents(self, texts: Any, /) -> NDArray[np.float32]:
            return letters(list(texts))

        embed_queries = embed_documents

    identity = Identity.of(Plain())
    assert identity.config["layers"] == [1, 2]
    assert Identity.from_json(identity.to_json()).check(Plain(), Metric.L2) is None


def test_a_config_that_is_no_json_is_refused() -> None:
    class Odd:
        config: Mapping[str, Any] = {"kind": "own", "model": "odd", "dim": 16, "device": object()}

        def embed_documents(self, texts: Any, /) -> NDArray[np.float32]:
            return letters(list(texts))

        embed_queries = embed_documents

    with pytest.raises(InvalidArgument, match="JSON"):
        Identity.of(Odd())


def test_json_round_trip_keeps_every_bit(stored: Identity) -> None:
    again = Identity.from_json(json.loads(json.dumps(stored.to_json(), allow_nan=False)))
    assert again.config == stored.config
    assert again.canaries.tobytes() == stored.canaries.tobytes()
    assert not again.canaries.flags.writeable


def encoded(vectors: NDArray[np.float32]) -> str:
    return base64.b64encode(vectors.astype("<f4").tobytes()).decode()


BROKEN = np.full((2, 6, 16), np.nan, np.float32)


@pytest.mark.parametrize(
    "path, value",
    [
        ((), None),
        ((), []),
        ((), {"config": {}}),
        (("extra",), 1),
        (("config",), None),
        (("config",), {"kind": "function"}),
        (("config", "kind"), 3),
        (("config", "dim"), 8),
        (("config", "dim"), "16"),
        (("config", "dim"), True),
        (("config", "dim"), 10**9),
        (("canaries",), []),
        (("canaries", "set"), 3),
        (("canaries", "set"), True),
        (("canaries", "shape"), [2, 6, 8]),
        (("canaries", "shape"), [2, 6]),
        (("canaries", "shape"), "2x6x16"),
        (("canaries", "data"), None),
        (("canaries", "data"), ""),
        (("canaries", "data"), "not base64!"),
        (("canaries", "data"), "größe"),
        (("canaries", "data"), encoded(BROKEN[:, :5])),
        (("canaries", "data"), encoded(BROKEN)),
        (("canaries", "data"), encoded(np.where(np.isnan(BROKEN), np.float32(np.inf), BROKEN))),
    ],
)
def test_damaged_identities_are_refused(stored: Identity, path: tuple[str, ...], value: object) -> None:
    data: Any = copy.deepcopy(stored.to_json())
    if path:
        place = data
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
    else:
        data = value
    with pytest.raises(StoreCorrupt, match="identity of the embedder is damaged"):
        Identity.from_json(data)


def test_messages_show_stored_names_escaped(stored: Identity) -> None:
    hostile = replace(stored, config={**stored.config, "model": "\x1b[2Jevil\n"}, canaries=-stored.canaries)
    with pytest.raises(EmbedderMismatch) as caught:
        hostile.check(function(), Metric.COSINE)
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)
