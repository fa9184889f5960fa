"""Serve a Spanish article on this machine, for the job that extracts vocabulary."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
ARTICLE = Path(__file__).parent / "samples" / "articulo.html"


@contextmanager
def article_server() -> Iterator[str]:
    """Serve the article inside the context, and yield its URL."""
    with ThreadingHTTPServer((LOOPBACK, 0), ArticlePage) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}/articulo"
        finally:
            server.shutdown()
            thread.join()


class ArticlePage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = ARTICLE.read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # its name in http.server
        """Print nothing: the terminal shows the progress bars."""
