"""A channel to a Milvus server: one request, one deadline, one answer. Nothing is repeated behind the caller's back."""

from __future__ import annotations

import base64
import os
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import grpc
from pymilvus.grpc_gen import milvus_pb2
from pymilvus.grpc_gen.milvus_pb2_grpc import MilvusServiceStub

from vecstore.errors import BackendUnavailable, ForkedStore, InvalidUrl, Unsupported
from vecstore.one_process import OneProcess

from .failures import check_status, translate
from .indexes import OLDEST, Version
from .options import MilvusOptions

_CHANNEL = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 0),
    # A peer that vanished without a word is noticed after 15 s of silence, also between calls.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # By default a server that was restarted is looked for again after up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Despite its name this is how long one attempt to connect may take: a handshake of TLS crosses the network often.
    ("grpc.min_reconnect_backoff_ms", 5_000),
)
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


class MilvusClient(OneProcess):
    """A client of one server, which connects with its first request. Threads may share it.

    In a process that was forked after it connected, each call raises `ForkedStore`: gRPC's threads stay in the parent.

    Parameters
    ----------
    options : MilvusOptions
    """

    def __init__(self, options: MilvusOptions) -> None:
        self.options = options
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._stub: Any = None
        self._is_closed = False
        self._version: Version | None = None
        self._process = os.getpid()

    @property
    def place(self) -> str:
        """The server and its database, without secrets."""
        return self.options.place

    @property
    def server_version(self) -> Version:
        """The version of the server, which is asked once.

        Raises
        ------
        Unsupported
            It is older than 2.3.
        """
        if self._version is None:
            answer = self.call("GetVersion", milvus_pb2.GetVersionRequest())
            found = _VERSION.match(answer.version)
            # A build without a tag says what branch it is of, or nothing: it gets no more than the oldest has.
            version = (int(found[1]), int(found[2]), int(found[3] or 0)) if found else OLDEST
            if version < OLDEST:
                raise Unsupported(
                    f"Milvus {'.'.join(map(str, version))}", "milvus", "Upgrade the server to 2.3 or newer."
                )
            self._version = version
        return self._version

    def draw_timestamp(self) -> int:
        """Return a timestamp of the server that is later than those of all writes that have returned."""
        return int(self.call("AllocTimestamp", milvus_pb2.AllocTimestampRequest()).timestamp)

    def close(self) -> None:
        """Close the channel. Calls that other threads wait for end with `BackendUnavailable`."""
        if os.getpid() != self._process:
            return
        with self._lock:
            self._is_closed = True
            channel, self._channel, self._stub = self._channel, None, None
        if channel is not None:
            channel.close()

    def call(self, method: str, request: Any) -> Any:
        """Send a request and return its answer.

        Parameters
        ----------
        method : str
            Of Milvus' service, such as ``Search``.
        request : protobuf message

        Raises
        ------
        StorageError, InvalidUrl, ForkedStore
        """
        send = getattr(self._get_stub(), method)
        try:
            answer = send(request, timeout=self.options.timeout, metadata=self._list_headers())
        except grpc.RpcError as error:
            raise translate(error) from None  # gRPC's text quotes addresses and the server's, which quotes values
        except ValueError as error:  # another thread closed the channel
            raise _make_closed() from error
        check_status(answer if method in _ANSWERED_BY_STATUS else answer.status)
        return answer

    def _get_stub(self) -> Any:
        if os.getpid() != self._process:
            raise ForkedStore
        stub = self._stub
        if stub is not None:
            return stub
        with self._lock:
            if self._is_closed:
                raise _make_closed()
            if self._stub is None:
                self._channel = self._open_channel()
                self._stub = MilvusServiceStub(self._channel)
            return self._stub

    def _open_channel(self) -> grpc.Channel:
        options = self.options
        if not options.tls:
            return cast("grpc.Channel", grpc.insecure_channel(options.address, options=list(_CHANNEL)))
        certificates = None
        if options.authority is not None:
            try:
                certificates = Path(options.authority).read_bytes()
            except OSError as error:
                raise InvalidUrl(f"The file of the URL's parameter ca cannot be read: {error.strerror}.") from error
        credentials = grpc.ssl_channel_credentials(root_certificates=certificates)
        return cast("grpc.Channel", grpc.secure_channel(options.address, credentials, options=list(_CHANNEL)))

    def _list_headers(self) -> list[tuple[str, str | bytes]]:
        headers: list[tuple[str, str | bytes]] = [("dbname", self.options.database)]
        if self.options.password:
            account = ":".join(each for each in (self.options.user, self.options.password) if each)
            headers.append(("authorization", base64.b64encode(account.encode())))
        return headers

    def __del__(self) -> None:
        with suppress(AttributeError):  # __init__ failed
            self.close()


_ANSWERED_BY_STATUS = frozenset(
    {"CreateCollection", "DropCollection", "CreateIndex", "LoadCollection", "ReleaseCollection"}
)
"""Methods whose answer is the status itself."""


def _make_closed() -> BackendUnavailable:
    return BackendUnavailable("This Database was closed. Call vecstore.connect() again.")
