"""``mode=ro``: no write, and reading where nothing can be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.file.samples import connect_backend, list_reads, make_busy_store, make_generation, make_rows, read_contents
from vecstore.backend import Change, Update
from vecstore.backends.file.backend import FileBackend
from vecstore.errors import StorageFailed, Unsupported
from vecstore.filters import ALL

WRITES: dict[str, Callable[[FileBackend, object, str], object]] = {
    "create": lambda backend, active, uid: backend.create("other", make_generation()),
    "rename": lambda backend, active, uid: backend.rename(uid, "other"),
    "drop": lambda backend, active, uid: backend.drop(uid),
    "amend": lambda backend, active, uid: backend.amend(active),  # type: ignore[arg-type]
    "builder": lambda backend, active, uid: backend.builder(uid).__enter__(),
    "switch": lambda backend, active, uid: backend.switch(uid, uid, lambda changes: None),
    "write": lambda backend, active, uid: backend.write(active, make_rows([1], 1), insert=False),  # type: ignore[arg-type]
    "update": lambda backend, active, uid: backend.update(active, ALL, Update({}, {})),  # type: ignore[arg-type]
    "delete": lambda backend, active, uid: backend.delete(active, ["x"]),  # type: ignore[arg-type]
    "settle": lambda backend, active, uid: backend.changes(active, [Change(1, "x")], 1),  # type: ignore[arg-type]
    "index": lambda backend, active, uid: backend.build_index(active),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", WRITES)
def test_writes_are_refused_before_any_io(tmp_path: Path, name: str) -> None:
    store = make_busy_store(tmp_path / "kb")
    backend = connect_backend(store.place, mode="ro")
    uid = backend.find(name="docs").uid
    assert backend.capabilities.read_only
    shutil.rmtree(store.place)
    with pytest.raises(Unsupported, match="mode=ro"):
        WRITES[name](backend, store.active, uid)


def test_everything_can_be_read(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path)
    reader = connect_backend(tmp_path, mode="ro")
    mine, theirs = (list_reads(each, store.active) for each in (store.backend, reader))
    assert {name: ask() for name, ask in theirs.items()} == {name: ask() for name, ask in mine.items()}
    assert reader.verify(store.active).ok
    store.upsert([7], 8)
    assert read_contents(reader, store.active) == store.model


READ = """
import sys
from pathlib import Path
from tests.file.samples import connect_backend, make_rows, read_contents
from vecstore.errors import StorageFailed
backend = connect_backend(Path(sys.argv[1]), **dict(each.split("=") for each in sys.argv[2:]))
active = backend.find(name="docs").active
print(len(read_contents(backend, active)), backend.verify(active).ok)
if backend.capabilities.read_only:
    sys.exit()
try:
    backend.write(active, make_rows([1], 1), insert=False)
except StorageFailed:
    print("refused")
"""


def can_remount() -> bool:
    command = ["unshare", "-rm", "true"]
    return shutil.which("unshare") is not None and subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.skipif(not can_remount(), reason="mounting needs unshare -rm, which this machine does not allow")
@pytest.mark.parametrize("parameters", [["mode=ro"], []])
def test_on_read_only_media(tmp_path: Path, parameters: list[str]) -> None:
    store = make_busy_store(tmp_path / "kb")
    store.backend.close()
    mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    command = [sys.executable, "-c", READ, str(store.place), *parameters]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, "sh", str(store.place), *command], capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout.split() == [str(len(store.model)), "True", *([] if parameters else ["refused"])]


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_in_a_directory_of_someone_else(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path / "kb")
    store.backend.close()
    for path in [*store.place.rglob("*"), store.place]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        assert read_contents(connect_backend(store.place), store.active) == store.model
        with pytest.raises(StorageFailed):
            connect_backend(store.place).write(store.active, make_rows([1], 1), insert=False)
    finally:
        for path in [store.place, *store.place.rglob("*")]:
            path.chmod(0o700)
