"""docker-compose.yml says what the tests and the README take for granted. Whether it starts, only an engine can say."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.sources import ROOT

from .server import IMAGE

COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
ENVIRONMENT = dict(
    line.split("=", 1)
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    if re.match(r"\w", line)
)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load(COMPOSE)
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture(scope="module")
def postgres(compose: dict[str, Any]) -> dict[str, Any]:
    service = compose["services"]["postgres"]
    assert isinstance(service, dict)
    return service


def test_the_image_is_the_one_that_tests_run_on(postgres: dict[str, Any]) -> None:
    assert postgres["image"] == IMAGE
    assert re.fullmatch(r"[\w/]+:\d+\.\d+\.\d+-pg\d+-\w+", IMAGE), "pinned: pgvector, PostgreSQL and the system"


def test_every_service_can_be_waited_for(compose: dict[str, Any]) -> None:
    assert [name for name, service in compose["services"].items() if not service["healthcheck"]["test"]] == []


def test_ports_are_open_to_this_machine_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service["ports"]]
    assert ports
    assert all(port.startswith("127.0.0.1:${VECSTORE_") for port in ports)


def test_data_lie_in_a_named_volume(compose: dict[str, Any], postgres: dict[str, Any]) -> None:
    assert postgres["volumes"] == ["postgres:/var/lib/postgresql"]
    assert "postgres" in compose["volumes"]


def test_the_example_of_the_environment_has_every_variable() -> None:
    assert set(re.findall(r"\$\{(\w+)", COMPOSE)) == set(ENVIRONMENT)
    assert all(ENVIRONMENT.values())


def test_defaults_are_those_of_the_example() -> None:
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE))
    assert defaults == {"VECSTORE_POSTGRES_PORT": "5432"}
    assert defaults.items() <= ENVIRONMENT.items()


def test_a_password_has_to_be_chosen(postgres: dict[str, Any]) -> None:
    assert postgres["environment"]["POSTGRES_PASSWORD"].startswith("${VECSTORE_POSTGRES_PASSWORD:?")
