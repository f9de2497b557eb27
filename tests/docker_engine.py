"""Whether there is a Docker engine for the tests' servers."""

from __future__ import annotations

import importlib
import importlib.util

_PING = 2  # seconds; a client without an engine is common


def docker_answers() -> bool:
    """Say whether a Docker engine answers at once, and the packages that talk to it are installed."""
    if not all(map(importlib.util.find_spec, ("docker", "testcontainers"))):
        return False
    docker = importlib.import_module("docker")
    try:
        client = docker.from_env(timeout=_PING)
    except (docker.errors.DockerException, OSError):
        return False
    try:
        return bool(client.ping())
    except (docker.errors.DockerException, OSError):  # requests' errors are OSErrors
        return False
    finally:
        client.close()
