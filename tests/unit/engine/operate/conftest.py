from __future__ import annotations

from tests.file_storage import broker_url, s3_address, storage

__all__ = ["broker_url", "s3_address", "storage"]
