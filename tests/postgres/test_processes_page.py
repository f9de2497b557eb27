"""The page about processes is true: its code runs, with the application's engine in forked workers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import vecstore
from tests.sources import ROOT
from vecstore import Record, Schema

from .stores import prepare_namespace

BLOCKS = re.findall(
    r"^```python\n(.*?)^```$", (ROOT / "docs" / "processes.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
)
SERVER = """
import os, runpy, sys
import application
from sqlalchemy import text
with application.engine.connect() as connection:  # as an application does that is loaded before the fork
    connection.execute(text("SELECT 1"))
start = runpy.run_path(sys.argv[1])[sys.argv[2]]
for turn in range(3):
    child = os.fork()
    if not child:
        start(*[None] * int(sys.argv[3]))
        hit = application.notes.search([turn % 2, 1 - turn % 2], k=1)[0]
        os._exit(0 if hit.id == ("tea" if turn % 2 else "coffee") else 1)
    with application.engine.connect() as connection:
        assert connection.execute(text("SELECT 7")).scalar() == 7
    assert os.waitpid(child, 0)[1] == 0
print("served")
"""
SIGNALS = """
class _Signal:
    def connect(self, function):
        return function
worker_process_init = _Signal()
"""


def test_multiprocessing(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(BLOCKS[0], "utf-8")
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True)
    lines = [f"{method} ['tea', 'coffee']" for method in ("fork", "spawn", "forkserver")]
    assert (done.stdout.splitlines(), done.stderr) == (lines, "")


def test_gunicorn_and_celery(tmp_path: Path, postgres_url: str) -> None:
    assert len(BLOCKS) == 4
    prepare_namespace(postgres_url, "vecstore")
    with vecstore.connect(postgres_url) as db:
        store = db.create("notes", Schema(dim=2), if_exists="open")
        store.upsert([Record("tea", [1, 0]), Record("coffee", [0, 1])])
    for name, text in {"application.py": BLOCKS[1], "gunicorn.conf.py": BLOCKS[2], "tasks.py": BLOCKS[3]}.items():
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "celery").mkdir()
    (tmp_path / "celery" / "__init__.py").write_text("")
    (tmp_path / "celery" / "signals.py").write_text(SIGNALS)  # stands for Celery, which calls what is connected
    url = postgres_url.replace("postgresql:", "postgresql+psycopg:")
    for arguments in (["gunicorn.conf.py", "post_fork", "2"], ["tasks.py", "connect", "0"]):
        done = subprocess.run(
            [sys.executable, "-c", SERVER, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(tmp_path)},
        )
        assert (done.stdout, done.returncode) == ("served\n", 0), done.stderr
    with vecstore.connect(postgres_url) as db:
        db.drop("notes")
