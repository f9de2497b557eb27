"""Connections that break at a random byte, in either direction, in the middle of calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
from sqlalchemy import create_engine

from tests.batches import batch, numbers, schema
from tests.cuts import TIMEOUT, Campaign
from tests.proxy import Fate, make_proxy
from vecstore import BackendUnavailable, Timeout, VecstoreError

from .stores import open_database, prepare_namespace, read_stored_ids

MODES = [pytest.param("on", id="session"), pytest.param("off", id="pgbouncer")]


def run_campaign(postgres_url: str, namespace: str, mode: str, trials: int, seed: int) -> Campaign:
    prepare_namespace(postgres_url, namespace)
    with (
        make_proxy(postgres_url) as proxy,
        open_database(proxy.replace_address(postgres_url), namespace, timeout=TIMEOUT, prepare=mode) as database,
    ):
        run = Campaign.run(database, proxy, trials, seed)
    assert numbers(read_stored_ids(postgres_url, namespace, "a")) == run.acknowledged
    return run


@pytest.mark.parametrize("mode", MODES)
def test_calls_survive_cuts(postgres_url: str, namespace: str, mode: str) -> None:
    run = run_campaign(postgres_url, namespace, mode, trials=30, seed=19)
    assert run.cuts >= 15
    assert run.unknown >= (mode == "on")  # before its COMMIT, a write is simply repeated


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(3))
def test_calls_survive_many_cuts(
    postgres_url: str, namespace: str, mode: str, seed: int, note: Callable[[str], None]
) -> None:
    run = run_campaign(postgres_url, namespace, mode, trials=100, seed=seed)
    said = f"{run.cuts} cuts, {run.unknown} unknown outcomes"
    note(f"cut connections to PostgreSQL (prepare={mode}), seed {seed}: {said}")
    assert run.cuts >= 50
    assert run.unknown >= (mode == "on")


@pytest.mark.parametrize("fate", get_args(Fate))
def test_a_cut_in_a_callers_transaction_is_no_unknown_outcome(postgres_url: str, namespace: str, fate: Fate) -> None:
    prepare_namespace(postgres_url, namespace)
    with make_proxy(postgres_url) as proxy, open_database(postgres_url, namespace, timeout=TIMEOUT) as database:
        store = database.create("a", schema())
        engine = create_engine(proxy.replace_address(postgres_url).replace("postgresql:", "postgresql+psycopg:"))
        with engine.connect() as connection:
            store.using(connection).upsert(batch(1))
            proxy.cut_after(server_bytes=10, fate=fate)
            with pytest.raises(VecstoreError) as raised:
                store.using(connection).upsert(batch(2))
            assert type(raised.value) in {BackendUnavailable, Timeout}
            connection.rollback()
            store.using(connection).upsert(batch(3))
            connection.commit()
        engine.dispose()
        assert numbers([record.id for record in store.scan()]) == {3}
