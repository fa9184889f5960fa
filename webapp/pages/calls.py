"""Show a submission as an API call, for a terminal and for a Python program."""

from __future__ import annotations

import json
import shlex
from pprint import pformat
from typing import Any

from flask import request


def as_curl(job_type: str, params: Any) -> str:
    """Return the curl command that submits the same job."""
    body = json.dumps(params, ensure_ascii=False)
    return (
        f"curl {shlex.quote(_address(job_type))} \\\n"
        '  -H "Authorization: Bearer $WORKHORSE_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(body)}"
    )


def as_python(job_type: str, params: Any) -> str:
    """Return the Python code that submits the same job."""
    body = pformat(params, width=88, sort_dicts=False)
    return (
        "import os, requests\n\n"
        "response = requests.post(\n"
        f"    {_address(job_type)!r},\n"
        '    headers={"Authorization": f"Bearer {os.environ[\'WORKHORSE_KEY\']}"},\n'
        f"    json={body.replace(chr(10), chr(10) + '         ')},\n"
        ")\n"
        'print(response.json()["job_id"])'
    )


def _address(job_type: str) -> str:
    return f"{request.host_url}api/v1/jobs/{job_type}"
