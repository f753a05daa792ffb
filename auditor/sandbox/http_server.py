"""An HTTP server on loopback: what every simulator that is asked over HTTP stands on."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HttpServer:
    """Serves on a free port until it is stopped; `url` is where.

    `answer` is called for each request of one of the `methods`, several at once, and ends with `reply`; other methods
    are refused (501). `name` stands in the header Server, and `clock`, in seconds since 1970, in the header Date.
    """

    def __init__(
        self,
        name: str,
        answer: Callable[[BaseHTTPRequestHandler], None],
        *,
        methods: Sequence[str] = ("GET",),
        clock: Callable[[], float] = time.time,
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            """Hands every request on."""

            protocol_version = "HTTP/1.1"
            timeout = 30
            server_version, sys_version = name, ""

            def date_time_string(self, timestamp: float | None = None) -> str:
                """Return the time of the header Date."""
                return super().date_time_string(clock() if timestamp is None else timestamp)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
                """Say nothing."""

        def do(handler: BaseHTTPRequestHandler) -> None:
            answer(handler)

        for method in methods:
            setattr(Handler, f"do_{method}", do)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        """End the server. A second call does nothing."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


def reply(handler: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Write an answer; its length is added to the headers."""
    handler.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
