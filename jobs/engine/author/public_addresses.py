"""Which addresses may be fetched for a user: public ones, and private ones that an operator allows."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from jobs.engine.errors import AddressRefused
from jobs.engine.settings import settings

if TYPE_CHECKING:
    import httpx2

#: Public by the registries, or by some versions of `ipaddress`, yet not a web server of anyone's: protocol
#: assignments (and Oracle's metadata service), 6to4 relays, and Azure's metadata service.
_REFUSED_V4 = tuple(ipaddress.IPv4Network(net) for net in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"))

#: Only global unicast IPv6 is allowed, without these parts of it: Teredo and other protocol assignments,
#: documentation, 6to4. Mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96) and local addresses are outside 2000::/3.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = tuple(ipaddress.IPv6Network(net) for net in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))

#: Names that only have a meaning inside a network. They are refused without a look-up.
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")

#: A name as the resolver gets it (IDNA applied), or an address. No zone: `%eth0` marks a link-local address.
_HOST = re.compile(r"[a-z0-9._:-]+")


def refuse_private_url(url: str) -> None:
    """Refuse an address that is visibly wrong, without a look-up. The rest is checked when a job connects.

    Raises:
        AddressRefused: another scheme than http(s), credentials, a private address or a local name.
    """
    import httpx2  # here, because a process starts faster without it

    try:
        host, port = check_url(httpx2.URL(url))
    except httpx2.InvalidURL as error:
        raise AddressRefused(f"This is not a valid address: {error}") from None
    if is_allowed(host, port):
        return
    if host == "localhost" or host.endswith(_LOCAL_SUFFIXES):
        raise _refusal(host)
    try:
        # Numbers in any form that a connect would take, such as 127.1 or 0x7f000001. This is never a look-up.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return
    refuse_private_addresses(host, [str(entry[4][0]) for entry in found])


def _public_url(url: str) -> str:
    try:
        refuse_private_url(url)
    except AddressRefused as error:
        raise ValueError(error.message) from None
    return url


#: A parameter's type: an http(s) address that is not visibly private. The addresses of its name are checked at connect.
PublicUrl = Annotated[str, Field(max_length=2048, json_schema_extra={"format": "uri"}), AfterValidator(_public_url)]


def check_url(url: httpx2.URL) -> tuple[str, int]:
    """Return the host and port of an address.

    Raises:
        AddressRefused: it is not a plain http or https address.
    """
    if url.scheme not in ("http", "https"):
        raise AddressRefused("Only http and https addresses can be fetched.")
    if url.userinfo:
        raise AddressRefused("The address must not contain a username or a password.")
    host = url.raw_host.decode("ascii").lower().rstrip(".")
    if not _HOST.fullmatch(host):
        raise AddressRefused("The address has no valid host.")
    if url.port is not None and not 0 < url.port < 65_536:
        raise AddressRefused("The port is out of range.")
    return host, url.port or (443 if url.scheme == "https" else 80)


def refuse_private_addresses(host: str, addresses: Iterable[str]) -> None:
    """Refuse a host if one of its addresses is private: the owner of the name chooses which one a client tries.

    Raises:
        AddressRefused
    """
    if not all(is_public(address) for address in addresses):
        raise _refusal(host)


def is_public(address: str) -> bool:
    """Return True if packets to this address go to one host in the public internet, as plain IPv4 or IPv6."""
    ip = ipaddress.ip_address(address)
    if not ip.is_global or ip.is_multicast or ip.is_reserved:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in net for net in _REFUSED_V4)
    return ip in _GLOBAL_V6 and not any(ip in net for net in _REFUSED_V6)


def is_allowed(host: str, port: int) -> bool:
    """Return True if ALLOWED_PRIVATE_HOSTS names the host, with or without the port."""
    allowed = {name.lower() for name in settings().allowed_private_hosts}
    bracketed = f"[{host}]" if ":" in host else host
    return not allowed.isdisjoint({host, bracketed, f"{bracketed}:{port}"})


def _refusal(host: str) -> AddressRefused:
    # Without the address: it would reveal how names resolve inside this network.
    return AddressRefused(f"{host!r} is not a public address. An operator can allow it in ALLOWED_PRIVATE_HOSTS.")
