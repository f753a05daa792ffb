"""One time limit for the whole of an exchange over HTTP.

The timeouts of requests are for each wait by itself: a system that sends a byte now and then is never late, and would
be listened to for days. Here the connection is cut when the time is over, whatever the reader waits for.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from requests.adapters import HTTPAdapter

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


def limited_adapter() -> HTTPAdapter:
    """Return an adapter of requests whose exchanges are under the `Limit` they are made within. It never retries."""
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - a tenth of a second, which only an audit needs
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool  # noqa: PLC0415 - as above
    from urllib3.connection import HTTPConnection, HTTPSConnection  # noqa: PLC0415 - as above

    pools = {
        "http": _pool(HTTPConnectionPool, HTTPConnection),
        "https": _pool(HTTPSConnectionPool, HTTPSConnection),
    }

    class Adapter(HTTPAdapter):
        """Makes such connections, also through a proxy."""

        def init_poolmanager(self, *args: Any, **more: Any) -> None:
            super().init_poolmanager(*args, **more)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, *args: Any, **more: Any) -> Any:
            manager = super().proxy_manager_for(*args, **more)
            manager.pool_classes_by_scheme = pools
            return manager

    return Adapter(max_retries=0)


def _pool(pool: type, connection: type) -> type:
    """Return a pool like this, of connections like this that are under limits."""
    return type(pool.__name__, (pool,), {"ConnectionCls": type(connection.__name__, (_Limited, connection), {})})
