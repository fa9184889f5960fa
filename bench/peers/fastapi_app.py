"""FastAPI with arq: a simple app that enqueues jobs and returns their status."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.jobs import Job
from fastapi import FastAPI
from pydantic import BaseModel


class Greeting(BaseModel):
    name: str
    times: int = 1


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.pool = await create_pool(RedisSettings.from_dsn(os.environ["BENCH_BROKER"]))
    yield
    await app.state.pool.aclose()


app = FastAPI(lifespan=lifespan)


@app.post("/job", status_code=202)
async def submit(greeting: Greeting) -> dict[str, Any]:
    job = await app.state.pool.enqueue_job("greet", **greeting.model_dump())
    return {"job_id": job.job_id, "status": "queued"}


@app.get("/job/{job_id}")
async def show(job_id: str) -> dict[str, Any]:
    job = Job(job_id, app.state.pool)
    ended = await job.result_info()
    return {"job_id": job_id, "status": await job.status(), "result": ended.result if ended else None}
