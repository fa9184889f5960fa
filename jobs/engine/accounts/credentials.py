"""The form of secrets that we hand out: how they are made, checked and fingerprinted."""

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
    """Make an API key: `wh_`, 256 random bits and a checksum, so that scanners and typing errors are told apart."""
    body = PREFIX + _base62(int.from_bytes(secrets.token_bytes(RANDOM_BYTES)), RANDOM_DIGITS)
    return body + _checksum(body)


def is_api_key(text: str) -> bool:
    """Whether `text` has the form of an API key. Costs no look-up; says nothing about who it belongs to."""
    body, checksum = text[:-CHECKSUM_DIGITS], text[-CHECKSUM_DIGITS:]
    return _KEY.fullmatch(text) is not None and checksum == _checksum(body)


def make_secret() -> str:
    """Make a secret of 256 random bits that fits into a URL."""
    return secrets.token_urlsafe(RANDOM_BYTES)


def fingerprint(secret: str) -> str:
    """The SHA-256 under which a secret is stored.

    A slow hash would add nothing: 256 random bits can't be guessed. And a look-up by digest
    leaks nothing by its timing: an attacker can't steer the digest of a guess.
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
