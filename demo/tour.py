"""Take a tour as an HTTP client: submit real jobs, follow them, and print their results.

    python -m demo

It uses the instance at PORT, or starts one and stops it again. The exit code is 0 if every job completed.
"""

from __future__ import annotations

import signal
import sys
import time
from contextlib import nullcontext
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

from demo.api import Api, Refused, Resource
from demo.article import LOOPBACK, article_server
from demo.display import show, summary
from demo.local_instance import admin_key, started
from demo.sentences import examples, texts
from jobs.engine.errors import CannotStart, WorkhorseError
from jobs.engine.local.announcement import not_ready
from jobs.engine.settings import Settings

SAMPLES = Path(__file__).parent / "samples"
#: How long a job may go without a change.
SILENCE_SECONDS = 120.0

#: Job types that take a file: the parameter, its sample, and the other parameters.
ON_SAMPLES: tuple[tuple[str, str, str, Resource], ...] = (
    ("process-image", "file", "photo.jpg", {"sizes": [800, 200], "format": "webp"}),
    ("process-video", "file", "video.mp4", {"height": 180}),
    ("extract-pdf", "file", "contract.pdf", {}),
    ("import-batch", "file", "contacts.csv", {}),
    ("generate-report", "file", "sales.csv", {"title": "Sales by month"}),
)


def main() -> int:
    """Take the tour. Return the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if not SAMPLES.is_dir():
            raise CannotStart(f"The tour needs its sample files, but the folder {SAMPLES} does not exist.")
        settings = Settings.load()
        address = f"http://{LOOPBACK}:{settings.port}"
        with nullcontext() if not_ready(address) is None else started(settings, address):
            return tour(Api(address, admin_key(settings, address)))
    except (WorkhorseError, Refused) as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, HTTPException, ValueError) as error:
        print(f"The connection to the instance was lost: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def tour(api: Api) -> int:
    """Run jobs on texts and on the sample files, one after the other. Return 0 if all of them completed."""
    print(f"Submitting jobs to {api.address}\n")
    trained = finished(api, api.submit("train-model", training_data=examples(), epochs=10))
    jobs = [trained]
    if trained["status"] == "completed":
        model_id = trained["result"]["model_id"]
        jobs.append(finished(api, api.submit("batch-predict", texts=texts(1000), model_id=model_id)))
    jobs += vocabulary(api)
    for job_type, parameter, sample, more in ON_SAMPLES:
        params = {parameter: api.upload(SAMPLES / sample), **more}
        jobs.append(finished(api, api.submit(job_type, **params)))
    mail = {"to": "reader@example.com", "subject": "The tour", "body": "It went well."}
    jobs.append(finished(api, api.submit("send-email", **mail)))
    completed = sum(job["status"] == "completed" for job in jobs)
    print(f"{completed} of {len(jobs)} jobs completed.")
    return 0 if completed == len(jobs) else 1


def vocabulary(api: Api) -> list[Resource]:
    """Extract words from an article on this machine, if the instance may fetch it."""
    with article_server() as url:
        try:
            job = api.submit("extract-vocabulary", url=url, source_lang="es", target_lang="en", word_count=8)
        except Refused as refusal:
            if refusal.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            print(
                "extract-vocabulary: skipped. This instance does not fetch pages from loopback addresses; "
                f"to see this job, start it with ALLOWED_PRIVATE_HOSTS={LOOPBACK}.\n"
            )
            return []
        return [finished(api, job)]


def finished(api: Api, job: Resource) -> Resource:
    """Follow a job to its end with a progress bar, and print its result or its error."""
    changed_at = time.monotonic()
    show(job)
    while job["status"] in ("pending", "running"):
        changed = api.changed(job)
        if changed is not None:
            job, changed_at = changed, time.monotonic()
            show(job)
        elif time.monotonic() - changed_at > SILENCE_SECONDS:
            print(f"\n  The job has not changed for {SILENCE_SECONDS:g} s. Is a worker running?\n")
            return job
    print(f"\n  {summary(job)}\n")
    return job
