"""Remove what expiry leaves in the storage: bytes of expired files, half-written blobs, and removed users' blobs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from jobs.engine.author.blobs import DRAFT_PREFIX, LOCAL_USER, delete_user_blobs
from jobs.engine.files.filesystem import open_filesystem
from jobs.engine.settings import settings

#: No write takes this long: an older draft has no writer.
DRAFT_SECONDS = 86_400


@dataclass(frozen=True)
class Removed:
    """The number of removed files, drafts and users' folders."""

    files: int
    drafts: int
    users: int


def remove_leftovers() -> Removed:
    """Remove what no user can reach. It may run repeatedly, and twice at the same time."""
    return Removed(_files(), _drafts(), _removed_users())


def _files() -> int:
    from jobs.engine.files.files import own_store

    removed = 0
    while swept := own_store().sweep():
        removed += swept
    return removed


def _drafts() -> int:
    filesystem, root = open_filesystem(settings().storage)
    removed = 0
    for place, about in _found(filesystem, root).items():
        if place.rpartition("/")[2].startswith(DRAFT_PREFIX) and _age_seconds(about) > DRAFT_SECONDS:
            filesystem.rm_file(place)
            removed += 1
    return removed


def _removed_users() -> int:
    """Remove the blobs of users whose removal was interrupted. A user who is being removed still has a record."""
    from jobs.engine.broker.connection import broker_errors, connect

    filesystem, root = open_filesystem(settings().storage)
    removed = 0
    connection = connect(settings())
    try:
        for place in _listed(filesystem, f"{root}/users"):
            user_id = unquote(place.rpartition("/")[2])
            with broker_errors():
                known = connection.exists(f"wh:user:{user_id}", f"wh:closed:{user_id}")
            if not known and user_id != LOCAL_USER:
                delete_user_blobs(user_id, settings())
                removed += 1
    finally:
        connection.close()
    return removed


def _found(filesystem: Any, root: str) -> dict[str, Any]:
    try:
        return dict(filesystem.find(root, detail=True))
    except FileNotFoundError:
        return {}


def _listed(filesystem: Any, folder: str) -> list[str]:
    try:
        return [str(each).rstrip("/") for each in filesystem.ls(folder, detail=False)]
    except FileNotFoundError:
        return []


def _age_seconds(about: dict[str, Any]) -> float:
    changed = about.get("mtime") or about.get("LastModified") or 0.0
    return time.time() - (changed.timestamp() if isinstance(changed, datetime) else float(changed))
