"""An fsspec file system for S3-compatible stores, on boto3.

s3fs is the usual choice, but it runs an asyncio loop in a thread of its own, which does not work in the web process:
gevent turns that thread into a greenlet, and fsspec refuses calls from a greenlet beside a running loop (fsspec
2026.9.0, asyn.py, `sync`). boto3 uses plain sockets, which work with gevent. boto3 reads region, credentials and
address from the environment: AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

#: Seconds to wait for a response, and the number of tries.
TIMEOUT_SECONDS = 10
ATTEMPTS = 3
MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


class S3FileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """Objects named `bucket/key`; a folder is the part of a key before a slash. Buckets are never created."""

    protocol = ("s3", "s3a")

    @cached_property
    def client(self) -> Any:
        import boto3
        from botocore.config import Config

        retries = {"max_attempts": ATTEMPTS, "mode": "standard"}
        settings = Config(connect_timeout=TIMEOUT_SECONDS, read_timeout=TIMEOUT_SECONDS, retries=retries)
        # A session of its own: boto3's default session is not thread-safe.
        return boto3.session.Session().client("s3", config=settings)

    def disconnect(self) -> None:
        """Close the connections. They open again at their next use."""
        if "client" in vars(self):
            self.client.close()

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        try:
            head = self.client.head_object(**_named(path))
        except self.client.exceptions.ClientError as error:
            raise _translated(error, path) from error
        return {"name": path, "size": head["ContentLength"], "type": "file"}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """List a folder. A folder without objects does not exist."""
        bucket, _slash, key = path.strip("/").partition("/")
        prefix = f"{key}/" if key else ""
        entries: list[dict[str, Any]] = []
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
        for page in pages:
            entries += [
                {"name": f"{bucket}/{folder['Prefix'].rstrip('/')}", "size": 0, "type": "directory"}
                for folder in page.get("CommonPrefixes", ())
            ]
            entries += [
                {
                    "name": f"{bucket}/{each['Key']}",
                    "size": each["Size"],
                    "type": "file",
                    "LastModified": each["LastModified"],
                }
                for each in page.get("Contents", ())
            ]
        if not entries:
            raise FileNotFoundError(path)
        return entries if detail else [entry["name"] for entry in entries]

    def exists(self, path: str, **_: Any) -> bool:
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    isfile = exists

    def rm_file(self, path: str) -> None:
        self.client.delete_object(**_named(path))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        with self.open(path, "rb") as file:
            file.seek(start or 0)
            return bytes(file.read(-1 if end is None else end - (start or 0)))

    def pipe_file(self, path: str, value: bytes, **_: Any) -> None:
        self.client.put_object(**_named(path), Body=value)

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **options: Any) -> S3File:
        if mode not in ("rb", "wb"):
            raise ValueError(f"an object is read or written as a whole, not opened as {mode!r}")
        return S3File(self, path, mode, block_size or "default", **{"cache_type": "readahead", **options})


class S3File(AbstractBufferedFile):  # type: ignore[misc]  # as above
    """One object, written in parts as they arrive and read in blocks as they are needed."""

    _upload: str | None = None

    def _initiate_upload(self) -> None:
        self._parts: list[dict[str, Any]] = []
        if self.tell() >= self.blocksize:  # a smaller object is sent in one request
            self._upload = self.fs.client.create_multipart_upload(**_named(self.path))["UploadId"]

    def _upload_chunk(self, final: bool = False) -> None:
        content = self.buffer.getvalue()
        if self._upload is None:
            self.fs.client.put_object(**_named(self.path), Body=content)
            return
        upload = {**_named(self.path), "UploadId": self._upload}
        if content:
            number = len(self._parts) + 1
            part = self.fs.client.upload_part(**upload, PartNumber=number, Body=content)
            self._parts.append({"PartNumber": number, "ETag": part["ETag"]})
        if final:
            self.fs.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": self._parts})

    def discard(self) -> None:
        """Discard the bytes written so far; the object stays unchanged."""
        self.closed = True
        if self._upload is not None:
            self.fs.client.abort_multipart_upload(**_named(self.path), UploadId=self._upload)

    def _fetch_range(self, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        try:
            found = self.fs.client.get_object(**_named(self.path), Range=f"bytes={start}-{end - 1}")
        except self.fs.client.exceptions.ClientError as error:
            raise _translated(error, self.path) from error
        return bytes(found["Body"].read())


def _named(path: str) -> dict[str, str]:
    bucket, _, key = path.partition("/")
    return {"Bucket": bucket, "Key": key}


def _translated(error: Any, path: str) -> OSError:
    """Return the error that Python raises for a local file in the same case."""
    if error.response.get("Error", {}).get("Code") in MISSING:
        return FileNotFoundError(path)
    return OSError(str(error))
