from __future__ import annotations

import psycopg
import pytest

from tests.proxy import Proxy


def test_a_postgresql_connection_through_the_proxy(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as direct:
        host, port = direct.info.host, direct.info.port
    with Proxy(host, port) as proxy:
        url = proxy.replace_address(postgres_url)
        with psycopg.connect(url) as connection:
            assert connection.info.port == proxy.port
            done = proxy.cut_after(server_bytes=50)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT repeat('x', 10000)")
            assert done.is_set()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
