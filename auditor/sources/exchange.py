"""One time limit for the whole of an exchange over HTTP.

The timeouts of requests are for each wait by itself: a system that sends a byte now and then is never late, and would
be listened to for days. Here the connection is cut when the time is over, whatever the reader waits for.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any, Self

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_HERE = threading.local()
"""The limit of the exchange that this thread is in."""


class Limit:
    """A limit of so many seconds; `over` says whether it cut the exchange."""

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def covers(self, connected: socket.socket) -> None:
        """Have this connection cut when the time is over."""
        with self._lock:
            self._sockets.append(connected)
            if self.over:
                _shut(connected)

    def _cut(self) -> None:
        with self._lock:
            self.over = True
            for connected in self._sockets:
                _shut(connected)

    def __enter__(self) -> Self:
        _HERE.limit = self
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        _HERE.limit = None
        self._timer.cancel()
        with self._lock:
            self._sockets.clear()  # it may serve the next exchange


def _shut(connected: socket.socket) -> None:
    """Wake whoever reads; the plain call, for TLS would say goodbye first."""
    with contextlib.suppress(OSError):  # closed meanwhile
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


class _Limited:
    """A connection that is under the limit of the thread that asks through it."""

    def request(self: Any, *args: Any, **more: Any) -> None:
        """Send a request."""
        super().request(*args, **more)  # type: ignore[misc]
        limit: Limit | None = getattr(_HERE, "limit", None)
        if limit is not None and self.sock is not None:
            limit.covers(self.sock)


class _Http(_Limited, HTTPConnection):
    pass


class _Https(_Limited, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


_POOLS = {"http": _HttpPool, "https": _HttpsPool}


class LimitedAdapter(HTTPAdapter):
    """An adapter of requests whose exchanges are under the `Limit` they are made within."""

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        """Make the pools of connections."""
        super().init_poolmanager(*args, **more)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **more: Any) -> Any:
        """Make the pools of connections through a proxy."""
        manager = super().proxy_manager_for(*args, **more)
        manager.pool_classes_by_scheme = _POOLS
        return manager
