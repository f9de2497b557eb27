"""docker-compose.yml says what the tests and the README take for granted. Whether it starts, only an engine can say."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.milvus.server import IMAGE as MILVUS_IMAGE
from tests.postgres.server import IMAGE as POSTGRES_IMAGE
from tests.redis.server import IMAGE as REDIS_IMAGE
from tests.sources import ROOT

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


@pytest.fixture(scope="module")
def redis(compose: dict[str, Any]) -> dict[str, Any]:
    service = compose["services"]["redis"]
    assert isinstance(service, dict)
    return service


def test_the_images_are_those_that_tests_run_on(postgres: dict[str, Any], redis: dict[str, Any]) -> None:
    assert postgres["image"] == POSTGRES_IMAGE
    assert re.fullmatch(r"[\w/]+:\d+\.\d+\.\d+-pg\d+-\w+", POSTGRES_IMAGE), "pgvector, PostgreSQL and the system"
    assert redis["image"] == REDIS_IMAGE
    assert re.fullmatch(r"redis:\d+\.\d+\.\d+", REDIS_IMAGE)


def test_milvus_starts_only_when_it_is_asked_for(compose: dict[str, Any]) -> None:
    assert compose["services"]["milvus"]["image"] == MILVUS_IMAGE
    profiles = {name: service.get("profiles") for name, service in compose["services"].items()}
    assert {name for name, listed in profiles.items() if listed == ["milvus"]} == {"milvus"}
    assert {name for name, listed in profiles.items() if listed is None} == {"postgres", "redis"}


def test_every_service_starts_again(compose: dict[str, Any]) -> None:
    assert {service["restart"] for service in compose["services"].values()} == {"unless-stopped"}


def test_every_service_can_be_waited_for(compose: dict[str, Any]) -> None:
    assert [name for name, service in compose["services"].items() if not service["healthcheck"]["test"]] == []


def test_ports_are_open_to_this_machine_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:${VECSTORE_") for port in ports)


def test_data_lie_in_named_volumes(compose: dict[str, Any], postgres: dict[str, Any], redis: dict[str, Any]) -> None:
    assert postgres["volumes"] == ["postgres:/var/lib/postgresql"]
    assert redis["volumes"] == ["redis:/data"]
    volumes = [each for service in compose["services"].values() for each in service["volumes"]]
    assert {each.partition(":")[0] for each in volumes} == set(compose["volumes"])


def test_what_redis_has_acknowledged_is_in_a_file(redis: dict[str, Any]) -> None:
    words = redis["command"]
    assert words[words.index("--appendonly") + 1] == "yes"


def test_the_example_of_the_environment_has_every_variable() -> None:
    assert set(re.findall(r"\$\{(\w+)", COMPOSE)) == set(ENVIRONMENT)
    assert all(ENVIRONMENT.values())


def test_defaults_are_those_of_the_example() -> None:
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE))
    assert defaults == {
        "VECSTORE_POSTGRES_PORT": "5432", "VECSTORE_REDIS_PORT": "6379", "VECSTORE_MILVUS_PORT": "19530",
    }  # fmt: skip
    assert defaults.items() <= ENVIRONMENT.items()


def test_passwords_have_to_be_chosen(postgres: dict[str, Any], redis: dict[str, Any]) -> None:
    assert postgres["environment"]["POSTGRES_PASSWORD"].startswith("${VECSTORE_POSTGRES_PASSWORD:?")
    assert redis["environment"]["REDISCLI_AUTH"].startswith("${VECSTORE_REDIS_PASSWORD:?")
    words = redis["command"]
    assert words[words.index("--requirepass") + 1] == "${VECSTORE_REDIS_PASSWORD}"


def test_the_health_check_knows_the_password_and_does_not_say_it(redis: dict[str, Any]) -> None:
    assert "PASSWORD" not in " ".join(redis["healthcheck"]["test"])
    assert "REDISCLI_AUTH" in redis["environment"]
