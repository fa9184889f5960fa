"""The command: `python -m bench --help`.

Measures this project and its peers at the same work in one run. Writes docs/performance-table.md, its chart, and the
tables in README.md and docs/comparison.md, unless the run is quick or limited to some rows.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType

from . import backlog, checkout, environments, fleet, floor, footprint, keys, progress_cost, throughput, web
from .chart import chart
from .environments import ROOT
from .excerpt import excerpt, insert
from .machine import facts
from .row import Row, measure, say
from .samples import Result, verdicts
from .table import page, summary
from .workbench import FULL, QUICK, Workbench

ROWS: tuple[Row, ...] = (
    *throughput.ROWS,
    *web.ROWS,
    *backlog.ROWS,
    *keys.ROWS,
    *fleet.ROWS,
    *progress_cost.ROWS,
    *floor.ROWS,
    *footprint.ROWS,
)
PAGE = ROOT / "docs" / "performance-table.md"
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    for each in STOP_SIGNALS:
        signal.signal(each, _stop)
    effort = QUICK if options.quick else FULL
    effort = replace(effort, rounds=options.rounds or effort.rounds)
    rows = checkout.rows(options.against) if options.against else ROWS
    chosen = [row for row in rows if not options.only or row.name in options.only]
    if not chosen:
        parser().error(f"--against measures these rows only: {', '.join(row.name for row in rows)}")
    about = facts(shlex.join(["python", "-m", "bench", *arguments]), effort)
    if not options.against:
        # Before the first row: an installation would disturb the measurements.
        environments.install({peer for row in chosen for peer in row.peers})
    with Workbench(effort) as bench:
        results = [measure(row, bench, bench.effort.rounds) for row in chosen]
    if options.json:
        print(json.dumps({"facts": about, "rows": [_plain(result) for result in results]}, indent=2))
    else:
        print(summary(results))
    out = options.out or (None if options.only or options.quick or options.against else PAGE)
    if out is not None:
        _write(out, results, about)
    if out == PAGE:
        insert(ROOT / "README.md", excerpt(results, short=True))
        insert(ROOT / "docs" / "comparison.md", excerpt(results, short=False))
    return 1 if any(result.troubles or result.failed for result in results) else 0


def _stop(number: int, _frame: FrameType | None) -> None:
    """Leave, and end the processes that the run has started. Another signal does not interrupt that."""
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(f"ended by {signal.Signals(number).name}")


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    command.add_argument("--quick", action="store_true", help="one short round, to check that everything runs")
    command.add_argument(
        "--only", action="append", choices=[row.name for row in ROWS], help="measure only this row; may be repeated"
    )
    command.add_argument(
        "--against",
        type=_checkout,
        metavar="PATH",
        help="take turns with another checkout of this project instead of the peers; the rows are jobs, post and poll",
    )
    command.add_argument(
        "--rounds",
        type=int,
        help=f"samples of each contender (default: {FULL.rounds})",
    )
    command.add_argument("--json", action="store_true", help="print all samples as JSON")
    command.add_argument("--out", type=Path, help=f"write the page here (default: {PAGE.relative_to(ROOT)})")
    return command


def _checkout(text: str) -> Path:
    path = Path(text).resolve()
    if not (path / "worker.py").is_file():
        raise argparse.ArgumentTypeError(f"{path} is not a checkout of this project: it has no worker.py")
    return path


def _plain(result: Result) -> dict[str, object]:
    judged = [{**asdict(each.spread), "what": each.goal.what, "met": each.met} for each in verdicts(result)]
    return {
        "row": result.row,
        "title": result.title,
        "unit": result.unit,
        "samples": result.samples,
        "goals": judged,
        "failed": result.failed,
        "troubles": result.troubles,
    }


def _write(path: Path, results: list[Result], about: dict[str, str]) -> None:
    picture = path.with_suffix(".svg")
    picture.write_text(chart(results))
    path.write_text(page(results, about, picture.name))
    say(f"wrote {path} and {picture}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
