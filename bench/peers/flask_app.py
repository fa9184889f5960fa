"""The web peers: a bare JSON route, and a simple app that enqueues jobs with RQ."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, Response, jsonify, request


def bare() -> Flask:
    """Make an app whose routes only read and return JSON."""
    app = Flask(__name__)

    @app.post("/job")
    def submit() -> tuple[Response, int]:
        return jsonify(received=request.get_json()), 202

    @app.get("/job")
    def show() -> Response:
        return jsonify(job_id="8e2f6b0c", status="queued", progress=0.0, result=None)

    return app


def with_rq() -> Flask:
    """Make an app that enqueues a function and returns the status of its job."""
    import redis
    import rq
    from rq.job import Job

    app = Flask(__name__)
    queue = rq.Queue(connection=redis.Redis.from_url(os.environ["BENCH_BROKER"]), serializer="json")

    @app.post("/job")
    def submit() -> tuple[Response, int]:
        job = queue.enqueue("bench.peers.rq_functions.greet", kwargs=request.get_json())
        return jsonify(job_id=job.id, status=job.get_status(refresh=False)), 202

    @app.get("/job/<job_id>")
    def show(job_id: str) -> Response:
        job = Job.fetch(job_id, connection=queue.connection, serializer=queue.serializer)
        answer: dict[str, Any] = {"job_id": job.id, "status": job.get_status(), "result": job.return_value()}
        return jsonify(answer)

    return app
