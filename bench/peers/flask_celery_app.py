"""Flask with Celery: a simple app that sends tasks and returns their state."""

from __future__ import annotations

from celery.result import AsyncResult
from flask import Flask, Response, jsonify, request

from bench.peers import celery_peer


def with_celery() -> Flask:
    app = Flask(__name__)

    @app.post("/job")
    def submit() -> tuple[Response, int]:
        task = celery_peer.greet.delay(**request.get_json())
        return jsonify(job_id=task.id, status="PENDING"), 202

    @app.get("/job/<job_id>")
    def show(job_id: str) -> Response:
        task = AsyncResult(job_id, app=celery_peer.app)
        return jsonify(job_id=job_id, status=task.state, result=task.result)

    return app
