"""The file system behind STORAGE_URL."""

from __future__ import annotations

from typing import Any


def open_filesystem(url: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URL, and the path in it."""
    from fsspec import register_implementation  # here, because a process starts faster without it
    from fsspec.core import url_to_fs

    for protocol in ("s3", "s3a"):
        register_implementation(protocol, "jobs.engine.files.s3.S3FileSystem", clobber=True)
    # Another process may have written since a listing was cached.
    filesystem, root = url_to_fs(url, use_listings_cache=False)
    return filesystem, root.rstrip("/")


def disconnect(url: str) -> None:
    """Close the connections to the file system of a URL. They open again at their next use."""
    filesystem, _root = open_filesystem(url)
    if not is_local(filesystem) and hasattr(filesystem, "disconnect"):
        filesystem.disconnect()


def is_local(filesystem: Any) -> bool:
    """Return True if a file system is a folder on this machine."""
    protocol = filesystem.protocol
    return "file" in (protocol if isinstance(protocol, tuple) else (protocol,))
