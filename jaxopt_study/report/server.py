"""A page that is served to this machine alone while a study trains, with a token in its address."""

import contextlib
import json
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from jaxopt_study.errors import EnvironmentFault, one_line

HOST = "127.0.0.1"


class Served(NamedTuple):
    """A page, and what tells it from what it was before."""

    version: str
    html: str


class Server:
    """Serves what ``page`` gives, at ``address``, until it is closed; to be used as a context.

    Args:
        page: called for every request, one at a time.
        port: 0 takes a free one.

    Raises:
        EnvironmentFault: the port is taken, or may not be used.
    """

    def __init__(self, page: Callable[[], Served], port: int = 0) -> None:
        self.token = secrets.token_urlsafe(24)
        self._page, self._one = page, threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            """Answers of this server."""

            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing is logged."""

        try:
            self._server = ThreadingHTTPServer((HOST, port), Handler)
        except (OSError, OverflowError) as error:
            raise EnvironmentFault(f"cannot listen on {HOST}:{port}: {error}") from error
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.address = f"http://{HOST}:{self.port}/?token={self.token}"

    def __enter__(self) -> "Server":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """The page, or news of it as JSON; 500 and a line where it cannot be made, 403 without the token or under
        another name than this machine's."""
        asked = urlsplit(request.path)
        given = parse_qs(asked.query)
        token = given.get("token", [""])[0].encode()
        hosts = (f"{HOST}:{self.port}", f"localhost:{self.port}")
        if request.headers.get("Host") not in hosts or not secrets.compare_digest(token, self.token.encode()):
            _send(request, 403, "text/plain", "the address needs the token that the command printed")
        elif asked.path not in ("/", "/update"):
            _send(request, 404, "text/plain", "there is only /")
        else:
            try:
                with self._one:
                    served = self._page()
            except Exception as error:  # whatever it is, who asked hears of it, and the next request tries again
                _send(request, 500, "text/plain", f"the page cannot be made now: {one_line(error)}")
                return
            if asked.path == "/":
                _send(request, 200, "text/html", served.html)
            elif given.get("have") == [served.version]:
                _send(request, 204, "application/json", "")
            else:
                _send(request, 200, "application/json", json.dumps({"version": served.version, "page": served.html}))


def _send(request: BaseHTTPRequestHandler, status: int, kind: str, text: str) -> None:
    content = text.encode()
    request.send_response(status)
    headers = {
        "Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(content)), "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
    }  # fmt: skip
    for name, value in headers.items():
        request.send_header(name, value)
    with contextlib.suppress(ConnectionError):  # its tab was closed
        request.end_headers()
        request.wfile.write(content)
