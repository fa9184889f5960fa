"""Keep generated secrets in files that only their owner can read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def kept_secret(path: Path, make: Callable[[], str]) -> str:
    """Return the secret in the file `path`. If there is no such file, make a secret and store it first.

    Several processes may call this at the same time. They all return the same secret.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        _store_new(path, make())
    return path.read_text().strip()


def _store_new(path: Path, secret: str) -> None:
    # The secret is written to a draft first, which is then linked: link() fails if another process
    # was faster, and no process ever reads half a secret.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    draft.touch(mode=0o600)
    draft.write_text(secret)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was faster; its secret is used
    finally:
        draft.unlink()
