"""A job of plain RQ is checked before anything in it is loaded."""

from __future__ import annotations

import json
import pickle
import zlib
from typing import Any

import fakeredis
import pytest
from rq.job import Job

from jobs.engine.author.decorator import job
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.worker.plain_rq import refusal

ALLOWED = ("some.module.function",)


@job
def known() -> None:
    """Be in the catalogue."""


KNOWN = f"{__name__}.known"


def plain_job(data: bytes, **fields: Any) -> Job:
    connection = fakeredis.FakeRedis()
    record: Any = {"data": data, "created_at": "2030-01-31T12:00:00.000000Z", "status": "queued", **fields}
    connection.hset("rq:job:job-1", mapping=record)
    return Job.fetch("job-1", connection=connection, serializer="json")


def call(function: object, instance: object = None, args: object = (), kwargs: object = None) -> bytes:
    return zlib.compress(json.dumps([function, instance, args, kwargs or {}]).encode())


def why(data: bytes, **fields: Any) -> str | None:
    return refusal(plain_job(data, **fields), ALLOWED, Catalogue([JobType.of(known)]))


@pytest.mark.parametrize("function", [KNOWN, *ALLOWED])
def test_a_function_of_the_catalogue_or_the_allow_list_may_run(function):
    assert why(call(function)) is None


def test_data_may_be_uncompressed():
    assert why(zlib.decompress(call(KNOWN))) is None


@pytest.mark.parametrize("data", [pickle.dumps((KNOWN, None, (), {})), b"", b"[]", b"5", b"[1, 2]"])
def test_data_that_is_not_rq_s_json_is_refused_with_the_fix(data):
    assert "serializer='json'" in (why(data) or "")


@pytest.mark.parametrize("data", [call(KNOWN, instance="x"), call(KNOWN, args="x"), call(KNOWN, kwargs=[1])])
def test_a_call_of_anything_but_a_function_is_refused(data):
    assert "only functions" in (why(data) or "")


@pytest.mark.parametrize("function", ["os.system", 5, None, ["os.system"]])
def test_any_other_function_is_refused_by_name(function):
    reason = why(call(function)) or ""
    assert repr(function) in reason and "ALLOWED_FUNCTIONS" in reason


@pytest.mark.parametrize("field", ["success_callback_name", "failure_callback_name", "stopped_callback_name"])
def test_a_callback_that_is_not_allowed_is_refused(field):
    assert "'os.system'" in (why(call(KNOWN), **{field: "os.system"}) or "")
    assert why(call(KNOWN), **{field: KNOWN}) is None
