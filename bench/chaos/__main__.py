"""The command: `python -m bench.chaos --help`."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench.workbench import free_port

from .experiment import Options, run
from .faults import ALL
from .stock import run_stock


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a tenth of a full run, in under five minutes")
    parser.add_argument("--jobs", type=int, help="full: 60,000")
    parser.add_argument("--kills", type=int, help="full: 1,000")
    parser.add_argument("--seconds", type=float, help="how long jobs are submitted and faults injected; full: 2,400")
    parser.add_argument("--faults", help=f"comma-separated, of {','.join(ALL)}")
    parser.add_argument("--hosts", type=int, default=2, help="hosts, each with its own worker tree")
    parser.add_argument("--workers", type=int, default=2, help="workers of each host")
    parser.add_argument("--no-web", action="store_true", help="submit with the engine's client instead of over HTTP")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and traces")
    parser.add_argument(
        "--stock", action="store_true", help="kill plain rq.Worker instead, to show that lost jobs are found"
    )
    given = parser.parse_args()
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # so that an interrupted run ends the processes it has started
    if given.stock:
        return run_stock(given.seed, given.jobs or 3_000, given.kills or 100)
    options = Options(
        seed=given.seed,
        jobs=given.jobs or (6_000 if given.quick else 60_000),
        kills=given.kills or (100 if given.quick else 1_000),
        seconds=given.seconds or (170.0 if given.quick else 2_400.0),
        faults=tuple(given.faults.split(","))
        if given.faults
        else tuple(k for k in ALL if k != "web" or not given.no_web),
        seldom_times=1 if given.quick or 0 < (given.kills or 0) < 500 else 10,
        hosts=given.hosts,
        workers=given.workers,
        web_port=None if given.no_web else free_port(),
        deploy_lengths=(3, 20, 30) if given.quick else (3, 20, 120),
    )
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    began = time.monotonic()
    head = f"seed {options.seed}: {options.jobs} jobs, {options.kills} faults over {options.seconds:g} s; {folder}"
    print(head, flush=True)
    text, kept = run(options, folder)
    print(text)
    print(f"\n{time.monotonic() - began:.0f} s; {'every promise was kept' if kept else 'PROMISES BROKEN'}")
    if kept and not given.keep:
        shutil.rmtree(folder)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
