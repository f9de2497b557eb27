"""The start: brings the database up to date, takes a free port, and serves until Ctrl-C."""

from __future__ import annotations

import socket
import sys
import tomllib
import uuid
from contextlib import suppress
from datetime import timedelta

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from vecstore.errors import VecstoreError

from .settings import SettingsError

HOST, PORT = "127.0.0.1", 8765
"""The port that is taken if it is free."""


def main() -> int:
    """Run the application; return an exit code."""
    try:
        from .app import app
        from .storage import settings, upgrade

        if upgrade():
            add_first_notes()
        listener = listen(settings.port)
    except (SettingsError, VecstoreError, SQLAlchemyError, OSError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        print(f"notes: {lines[0]}", file=sys.stderr)
        return 1
    port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5))
    print(f"Notes: http://{HOST}:{port}/  (Ctrl-C stops it)", flush=True)
    with suppress(KeyboardInterrupt):  # uvicorn ends in order, and then passes the signal on
        server.run([listener])
    print("\nStopped.")
    return 0


def add_first_notes() -> None:
    """Fill a new database."""
    from .models import Note, now
    from .storage import FOLDER, Session

    listed = tomllib.loads((FOLDER / "seed.toml").read_text("utf-8"))["note"]
    with Session.begin() as session:
        for number, values in enumerate(listed):
            session.add(Note(id=uuid.uuid4(), changed_at=now() - timedelta(hours=7 * number), **values))


def listen(wanted: int | None) -> socket.socket:
    """Return a listening socket: on the wanted port, or else on the usual one or any that is free."""
    for port in (PORT, 0) if wanted is None else (wanted,):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen()  # from here on a browser waits for the application and is not refused
        except OSError as error:
            listener.close()
            if port == wanted:
                raise OSError(f"port {port} is taken: {error.strerror}. Choose another one, NOTES_PORT=…") from error
        else:
            return listener
    raise AssertionError


if __name__ == "__main__":
    sys.exit(main())
