from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from jobs.engine.author.public_addresses import is_public, refuse_private_url
from jobs.engine.errors import AddressRefused


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946"])
def test_an_address_of_the_public_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",  # noqa: S104 (it is refused)
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%lo",
        "fec0::1",
        "ff02::1",
    ],
)
def test_a_private_or_reserved_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://[::1]:8000/",
        "http://[::ffff:169.254.169.254]/",
        "http://localhost:9200/",
        "http://LOCALHOST./",
        "http://metadata.google.internal/",
        "http://printer.local/",
        "http://user:secret@example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//example.com/",
        "http://",
        "http://exa mple.com/",
        "",
    ],
)
def test_a_visibly_private_or_invalid_address_is_refused(url: str, allow: Callable[..., None]) -> None:
    with pytest.raises(AddressRefused):
        refuse_private_url(url)


def test_a_public_name_is_accepted_without_a_look_up(
    allow: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags: list[int] = []
    real = socket.getaddrinfo

    def look_up(*args: Any, **options: Any) -> Any:
        flags.append(options["flags"])
        return real(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    refuse_private_url("https://example.com/article")
    assert flags == [socket.AI_NUMERICHOST]


def test_an_allowed_host_is_accepted_with_its_port_only(allow: Callable[..., None]) -> None:
    allow("localhost:8123", "[::1]:9000")
    refuse_private_url("http://localhost:8123/a")
    refuse_private_url("http://[::1]:9000/a")
    with pytest.raises(AddressRefused):
        refuse_private_url("http://localhost:8124/a")
