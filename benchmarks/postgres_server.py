"""The PostgreSQL server of a run: started for it, or the one that ``VECSTORE_BENCH_POSTGRES`` names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

VARIABLE = "VECSTORE_BENCH_POSTGRES"
SETTINGS = {"shared_buffers": "512MB", "maintenance_work_mem": "512MB", "max_parallel_maintenance_workers": "1"}
"""A started server has PostgreSQL's defaults otherwise, so its writes are durable."""


@contextmanager
def run_server(folder: Path) -> Iterator[str]:
    """Give the URL of a server; one that is started here uses ``folder`` and is stopped afterwards."""
    given = os.environ.get(VARIABLE)
    if given:
        yield given
        return
    # Its packages are installed only if this is measured.
    from vecstore.backends.postgres.embedded.cluster import Cluster

    cluster = Cluster(folder, settings=SETTINGS)
    cluster.prepare()
    cluster.initialise()
    try:
        cluster.start()
        yield cluster.url
    finally:
        cluster.stop()


def make_url(database: str) -> str:
    """Return the URL of one database on the server of this run, as the runner told this process."""
    return urlsplit(os.environ[VARIABLE])._replace(path=f"/{database}").geturl()
