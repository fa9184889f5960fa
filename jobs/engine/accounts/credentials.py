"""The form of API keys and other secrets: how they are created, checked and fingerprinted."""

from __future__ import annotations

import re
import secrets
import string
from hashlib import sha256
from zlib import crc32

PREFIX = "wh_"
RANDOM_BYTES = 32

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
#: The shortest lengths in base 62 that hold 256 and 32 bits.
RANDOM_DIGITS, CHECKSUM_DIGITS = 43, 6

_KEY = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{RANDOM_DIGITS + CHECKSUM_DIGITS}}}")


def make_api_key() -> str:
    """Create an API key: `wh_`, 256 random bits, and a checksum that reveals mistyped keys and other text."""
    body = PREFIX + _base62(int.from_bytes(secrets.token_bytes(RANDOM_BYTES)), RANDOM_DIGITS)
    return body + _checksum(body)


def is_api_key(text: str) -> bool:
    """Return True if `text` has the form of an API key, without a look-up: it may belong to no user."""
    body, checksum = text[:-CHECKSUM_DIGITS], text[-CHECKSUM_DIGITS:]
    return _KEY.fullmatch(text) is not None and checksum == _checksum(body)


def make_secret() -> str:
    """Create a secret of 256 random bits that can be part of a URL."""
    return secrets.token_urlsafe(RANDOM_BYTES)


def fingerprint(secret: str) -> str:
    """Return the SHA-256 under which a secret is stored.

    A slow hash would add nothing, since 256 random bits can't be guessed. The timing of a look-up by digest
    reveals nothing, since an attacker can't choose the digest of a guess.
    """
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode("ascii", "replace")), CHECKSUM_DIGITS)


def _base62(number: int, digits: int) -> str:
    characters = []
    for _ in range(digits):
        number, remainder = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[remainder])
    return "".join(reversed(characters))
