"""The server's program, unpacked once from the wheel ``milvus``, and the settings that it starts with."""

from __future__ import annotations

import fcntl
import importlib.util
import lzma
import os
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

from servers import NoServer

VERSION = "2.3.5"
PORT = 19530
"""In the network of the server."""
UNPACKED = Path(__file__).parents[2] / ".servers" / f"milvus-{VERSION}"
INSTALL = (
    f"The tests need the server of Milvus. Run: pip install -c constraints.txt milvus=={VERSION} pymilvus. "
    "It runs on Linux on x86_64."
)
_BLANK = re.compile(r"\{\{\s*(\w+)(?:\(\w+\))?(?::\s*(.*?))?\s*\}\}")
_PACKED = ".lzma"


@cache
def find_program() -> Path:
    """Return the program, which has its libraries beside it.

    Raises
    ------
    NoServer
    """
    program = UNPACKED / "milvus"
    if not program.exists():
        packed = _find_wheel() / "bin"
        UNPACKED.parent.mkdir(exist_ok=True)
        with open(UNPACKED.parent / "milvus.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not program.exists():
                _unpack(packed, UNPACKED)
    return program


def _find_wheel() -> Path:
    found = importlib.util.find_spec("milvus")
    folders = list((found and found.submodule_search_locations) or ())
    if not folders or not (Path(folders[0]) / "data" / "bin").is_dir():
        raise NoServer(INSTALL)
    return Path(folders[0]) / "data"


def _unpack(packed: Path, target: Path) -> None:
    """Unpack the program and its libraries into a folder that appears when it is complete."""
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        folder = Path(temporary) / "bin"
        folder.mkdir()
        for file in sorted(packed.glob(f"*{_PACKED}")):
            unpacked = folder / file.name.removesuffix(_PACKED)
            with lzma.open(file) as source, unpacked.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            unpacked.chmod(0o755)
        folder.rename(target)


def write_settings(folder: Path) -> None:
    """Write the settings into a folder, where the server looks for them and where it is to keep its data."""
    values = {
        "etcd_log_path": folder / "etcd.log",
        "etcd_log_level": "warn",
        "system_log_path": folder / "logs",
        "etcd_data_dir": folder / "data" / "etcd",
        "local_storage_dir": folder / "data",
        "rocksmq_data_dir": folder / "data" / "rocksmq",
    }

    def fill(blank: re.Match[str]) -> str:
        return str(values.get(blank[1], blank[2] or ""))

    wheel = _find_wheel()
    template = (wheel / "config.yaml.template").read_text(encoding="utf-8")
    for name in ("configs", "logs", "data", "run"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "configs" / "milvus.yaml").write_text(_BLANK.sub(fill, template), encoding="utf-8")
    shutil.copy(wheel / "glog.conf", folder / "configs" / "glog.conf")


def make_environment(folder: Path, settings: dict[str, str]) -> dict[str, str]:
    """Return the environment variables of the program.

    Parameters
    ----------
    folder : Path
    settings : dict of str to str
        Of milvus.yaml by their dotted names, as ``dataCoord.segment.maxIdleTime``; the server reads them from here too.
    """
    return {
        **os.environ,
        "LD_LIBRARY_PATH": str(find_program().parent),
        "DEPLOY_MODE": "STANDALONE",
        "METRICS_PORT": "9091",
        "MILVUS_RUN_DIR": str(folder / "run"),
        "GOMEMLIMIT": "1GiB",
        "log.level": "warn",
        **settings,
    }
