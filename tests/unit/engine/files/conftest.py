from __future__ import annotations

from tests.file_storage import broker_url, in_a_job, s3_address, storage, store

__all__ = ["broker_url", "in_a_job", "s3_address", "storage", "store"]
