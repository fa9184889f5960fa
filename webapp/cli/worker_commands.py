"""`jobs queues`, `jobs workers` and `jobs drain`: what waits, who works, and how to take a worker away."""

from __future__ import annotations

import click

from jobs.engine.operate.workers import WorkerRecord, drain, workers
from webapp.queues import current_queues
from webapp.recording import DRAIN, UNDO_DRAIN
from webapp.services import services
from webapp.workers import resource_of

from .operator import note
from .text import duration, json_option, moment, print_json, table

_MEBIBYTE = 1_048_576


@click.command("queues")
@json_option
def list_queues(as_json: bool) -> None:
    """List the queues: how many jobs wait, how long, and how many run."""
    queues = current_queues()
    if as_json:
        print_json({"queues": [queue.as_dict() for queue in queues]})
        return
    rows = [
        (
            queue.name,
            str(queue.depth),
            duration(queue.oldest_wait_seconds) if queue.depth else "-",
            str(queue.running),
            "yes" if queue.paused else "no",
        )
        for queue in queues
    ]
    click.echo(table(("QUEUE", "WAITING", "OLDEST WAIT", "RUNNING", "PAUSED"), rows))


@click.command("workers")
@json_option
def list_workers(as_json: bool) -> None:
    """List the workers of all hosts."""
    found = workers(services().client.store)
    if as_json:
        print_json({"workers": [resource_of(worker) for worker in found]})
    elif found:
        heads = ("WORKER", "STATE", "JOB", "QUEUES", "MEMORY", "LAST BEAT")
        click.echo(table(heads, [_row(worker) for worker in found]))
    else:
        click.echo("No worker is running. Start one with: python worker.py")


@click.command("drain", short_help="Let a worker finish its job and end.")
@click.argument("worker")
@click.option("--undo", is_flag=True, help="Let the worker take jobs again, if it has not ended.")
@json_option
def drain_worker(worker: str, undo: bool, as_json: bool) -> None:
    """Let a worker finish its job, take no other, and end. It is not restarted.

    WORKER is a name from 'jobs workers'. When all workers of a worker.py have drained, that process ends too.
    """
    found = drain(services().client.store, worker, draining=not undo)
    note(UNDO_DRAIN if undo else DRAIN, subject=worker)
    if as_json:
        print_json(resource_of(found))
    else:
        click.echo("It takes jobs again." if undo else "It takes no more jobs, and ends when it is idle.")


def _row(worker: WorkerRecord) -> tuple[str, ...]:
    state = "draining" if worker.draining else worker.state
    memory = f"{worker.memory_bytes / _MEBIBYTE:.0f} MiB" if worker.memory_bytes else "-"
    return (worker.name, state, worker.job_id or "-", ",".join(worker.queues), memory, moment(worker.heard_at))
