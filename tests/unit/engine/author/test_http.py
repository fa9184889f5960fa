"""Requests to addresses that users name, against real servers on loopback."""

from __future__ import annotations

import gzip
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from jobs.engine.author.http import fetch, http_client
from jobs.engine.errors import AddressRefused, FetchFailed, ResponseTooLarge
from tests.loopback import free_port, serving

Answering = Callable[[BaseHTTPRequestHandler], None]
MEGABYTE = 1_000_000


class Site(ThreadingHTTPServer):
    """A web site on loopback that responds as its test says, and counts its requests."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answer: Answering = lambda request: reply(request, b"hello")
        self.seen: list[str] = []
        self.headers: list[dict[str, str]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.seen.append(self.path)
                site.headers.append(dict(self.headers))
                try:
                    site.answer(self)
                except OSError:
                    pass  # the client hung up, as it should

            def log_message(self, *args: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


def reply(request: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("content-length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as site:
        yield site


@pytest.fixture
def allowed_site(site: Site, allow: Callable[..., None]) -> Site:
    allow(f"127.0.0.1:{site.port}")
    return site


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names that resolve as a test says; each look-up of one drops its first answer, as a rebinding server would."""
    answers: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host in answers:
            address = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
            return [entry for each in address.split() for entry in real(each, port, *args, **options)]
        return real(host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return answers


def test_an_allowed_private_host_is_fetched(allowed_site: Site) -> None:
    allowed_site.answer = lambda request: reply(request, b"<p>hi", content_type="text/html; charset=utf-8")
    fetched = fetch(allowed_site.url, max_bytes=100, timeout_seconds=5)
    assert (fetched.status, fetched.body, fetched.content_type) == (200, b"<p>hi", "text/html; charset=utf-8")
    assert fetched.url == allowed_site.url


def test_no_packet_reaches_a_private_address(site: Site, allow: Callable[..., None]) -> None:
    with pytest.raises(AddressRefused):
        fetch(site.url, max_bytes=100, timeout_seconds=5)
    with http_client() as client, pytest.raises(AddressRefused):
        client.get(site.url)
    assert site.seen == []


def test_a_name_with_a_private_address_is_refused(
    site: Site, allow: Callable[..., None], names: dict[str, list[str]]
) -> None:
    names["innocent.example"] = ["127.0.0.1"]
    with pytest.raises(AddressRefused, match=r"innocent\.example") as refused:
        fetch(f"http://innocent.example:{site.port}/", max_bytes=100, timeout_seconds=5)
    assert "127.0.0.1" not in refused.value.message
    assert site.seen == []


def test_a_name_with_one_private_address_among_public_ones_is_refused(
    allow: Callable[..., None], names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "create_connection", lambda *args, **options: pytest.fail("it connected"))
    names["mixed.example"] = ["93.184.216.34 10.0.0.1"]
    with pytest.raises(AddressRefused):
        fetch("http://mixed.example/", max_bytes=100, timeout_seconds=5)


def test_a_name_is_not_resolved_again_after_the_check(
    allow: Callable[..., None], names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], *args: Any, **options: Any) -> socket.socket:
        connected.append(address)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "create_connection", connect)
    names["rebinding.example"] = ["93.184.216.34", "127.0.0.1"]
    with pytest.raises(FetchFailed):
        fetch("http://rebinding.example/", max_bytes=100, timeout_seconds=5)
    assert connected == [("93.184.216.34", 80)]


def test_a_redirect_to_a_private_address_is_refused(allowed_site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inside:
        inside.setblocking(False)
        target = f"http://127.0.0.1:{inside.getsockname()[1]}/secret"
        allowed_site.answer = lambda request: reply(request, b"", 302, location=target)
        with pytest.raises(AddressRefused):
            fetch(allowed_site.url, max_bytes=100, timeout_seconds=5)
        with http_client(follow_redirects=True) as client, pytest.raises(AddressRefused):
            client.get(allowed_site.url)
        with pytest.raises(BlockingIOError):
            inside.accept()


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.com/", "http://user:secret@example.com/"])
def test_a_redirect_to_anything_but_a_plain_web_address_is_refused(allowed_site: Site, target: str) -> None:
    allowed_site.answer = lambda request: reply(request, b"", 302, location=target)
    with pytest.raises(AddressRefused):
        fetch(allowed_site.url, max_bytes=100, timeout_seconds=5)


def test_five_redirects_are_followed_and_a_sixth_is_not(allowed_site: Site) -> None:
    hops = 5

    def answer(request: BaseHTTPRequestHandler) -> None:
        at = int(request.path[1:] or 0)
        if at < hops:
            reply(request, b"", 302, location=f"/{at + 1}")
        else:
            reply(request, b"arrived")

    allowed_site.answer = answer
    fetched = fetch(allowed_site.url, max_bytes=100, timeout_seconds=5)
    assert (fetched.body, fetched.url) == (b"arrived", f"{allowed_site.url}5")
    hops = 6
    with pytest.raises(FetchFailed, match="more than 5 times"):
        fetch(allowed_site.url, max_bytes=100, timeout_seconds=5)


def test_a_redirect_is_returned_if_redirects_are_not_followed(allowed_site: Site) -> None:
    allowed_site.answer = lambda request: reply(request, b"", 302, location="/elsewhere")
    assert fetch(allowed_site.url, max_bytes=100, timeout_seconds=5, follow_redirects=False).status == 302


def test_proxies_of_the_environment_are_not_used(allowed_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(allowed_site.url, max_bytes=100, timeout_seconds=5).status == 200


@pytest.mark.parametrize("option", ["transport", "mounts", "proxy", "trust_env"])
def test_options_that_bypass_the_guard_are_refused(option: str) -> None:
    options: dict[str, Any] = {option: None}
    with pytest.raises(TypeError, match=option):
        http_client(**options)


def test_a_response_over_the_limit_is_refused(allowed_site: Site) -> None:
    allowed_site.answer = lambda request: reply(request, b"x" * 101)
    with pytest.raises(ResponseTooLarge):
        fetch(allowed_site.url, max_bytes=100, timeout_seconds=5)


def test_an_endless_response_is_refused_at_the_limit(allowed_site: Site) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while True:
            request.wfile.write(b"x" * 65536)

    allowed_site.answer = answer
    with pytest.raises(ResponseTooLarge):
        fetch(allowed_site.url, max_bytes=MEGABYTE, timeout_seconds=10)


def test_the_limit_applies_to_the_decompressed_body(allowed_site: Site) -> None:
    bomb = gzip.compress(bytes(100 * MEGABYTE))
    assert len(bomb) < MEGABYTE
    allowed_site.answer = lambda request: reply(request, bomb, content_encoding="gzip")
    with pytest.raises(ResponseTooLarge):
        fetch(allowed_site.url, max_bytes=MEGABYTE, timeout_seconds=10)


def test_the_endless_body_of_a_redirect_is_never_read(allowed_site: Site) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path == "/next":
            return reply(request, b"arrived")
        request.send_response(302)
        request.send_header("location", "/next")
        request.end_headers()
        while True:
            request.wfile.write(b"x" * 65536)

    allowed_site.answer = answer
    assert fetch(allowed_site.url, max_bytes=100, timeout_seconds=10).body == b"arrived"


def drip_body(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    while True:
        request.wfile.write(b"x")
        time.sleep(0.05)


def drip_headers(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
    drip_body_bytes(request)


def drip_body_bytes(request: BaseHTTPRequestHandler) -> None:
    while True:
        request.wfile.write(b"x")
        time.sleep(0.05)


@pytest.mark.parametrize("answer", [drip_body, drip_headers])
def test_a_slow_response_ends_at_the_deadline(allowed_site: Site, answer: Answering) -> None:
    allowed_site.answer = answer
    began = time.monotonic()
    with pytest.raises(FetchFailed, match=r"within 0\.5 s"):
        fetch(allowed_site.url, max_bytes=MEGABYTE, timeout_seconds=0.5)
    assert time.monotonic() - began < 30


def test_an_unreachable_server_is_a_failure_to_retry(allow: Callable[..., None]) -> None:
    port = free_port()
    allow(f"127.0.0.1:{port}")
    with pytest.raises(FetchFailed):
        fetch(f"http://127.0.0.1:{port}/", max_bytes=100, timeout_seconds=5)


def test_a_closed_connection_is_a_failure_to_retry(allowed_site: Site) -> None:
    allowed_site.answer = lambda request: request.connection.shutdown(socket.SHUT_RDWR)
    with pytest.raises(FetchFailed):
        fetch(allowed_site.url, max_bytes=100, timeout_seconds=5)


def test_an_unknown_name_is_a_failure_to_retry(allow: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*args: Any, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(FetchFailed, match=r"nowhere\.example"):
        fetch("http://nowhere.example/", max_bytes=100, timeout_seconds=5)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with the openssl program")
def test_tls_checks_the_name_although_the_address_is_fixed(
    site: Site,
    allow: Callable[..., None],
    names: dict[str, list[str]],
    tmp_path: Path,
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=shop.example", "-addext", "subjectAltName=DNS:shop.example",
         "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    site.socket = server.wrap_socket(site.socket, server_side=True)
    names["shop.example"] = names["other.example"] = ["127.0.0.1"]
    allow("shop.example", "other.example")
    trusted = ssl.create_default_context(cafile=certificate)
    with http_client(verify=trusted) as client:
        assert client.get(f"https://shop.example:{site.port}/").status_code == 200
        with pytest.raises(httpx2.ConnectError, match=r"other\.example"):
            client.get(f"https://other.example:{site.port}/")
    with pytest.raises(FetchFailed):
        fetch(f"https://shop.example:{site.port}/", max_bytes=100, timeout_seconds=5)
