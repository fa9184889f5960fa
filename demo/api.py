"""A client of the HTTP API, as far as the demo needs one, with only the standard library."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any

#: How long one long poll waits for a change.
WAIT_SECONDS = 10

Resource = dict[str, Any]


class Refused(Exception):
    """The server refused a request. It is an error of this client, not one of the engine's."""

    def __init__(self, status: int, problem: Resource) -> None:
        faults = "; ".join(str(fault.get("message")) for fault in problem.get("errors", []))
        super().__init__(f"{status}: {problem.get('detail') or problem.get('title')} {faults}".rstrip())
        self.status = status


class Api:
    """Every method raises Refused if the server does not accept the request."""

    def __init__(self, address: str, key: str) -> None:
        self.address = address
        self._headers = {"Authorization": f"Bearer {key}"}
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def submit(self, job_type: str, **params: Any) -> Resource:
        """Submit a job and return it."""
        body = json.dumps(params).encode()
        job = self._call("POST", f"/api/v1/jobs/{job_type}", body, {"Content-Type": "application/json"})
        assert job is not None
        return job

    def upload(self, file: Path) -> str:
        """Upload a file and return its id."""
        boundary = secrets.token_hex(16)
        head = f'Content-Disposition: form-data; name="file"; filename="{file.name}"'
        body = f"--{boundary}\r\n{head}\r\n\r\n".encode() + file.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        stored = self._call("POST", "/api/v1/files", body, headers)
        assert stored is not None
        return str(stored["file_id"])

    def changed(self, job: Resource) -> Resource | None:
        """Return the job as soon as it has changed, or None if it has not changed for WAIT_SECONDS."""
        seen = {"If-None-Match": f'"{job["version"]}"'}
        return self._call("GET", f"{job['poll_url']}?wait={WAIT_SECONDS}", headers=seen)

    def _call(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Resource | None:
        request = urllib.request.Request(  # noqa: S310 # our own address
            self.address + path,
            data=body,
            headers=self._headers | (headers or {}),
            method=method,
        )
        try:
            with self._opener.open(request, timeout=WAIT_SECONDS + 20) as answer:
                document: Resource = json.load(answer)
                return document
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.NOT_MODIFIED:
                return None
            raise Refused(error.code, _problem(error)) from None


def _problem(error: urllib.error.HTTPError) -> Resource:
    try:
        return dict(json.load(error))
    except ValueError:  # it is not our API that responds there
        return {"title": error.reason}
