"""The table that a run prints."""

from __future__ import annotations

from collections import Counter

from .faults import ALL, Injection
from .ledger import Ledger
from .verdict import OUTAGE, Verdict

PROMISED = (
    "LOST",
    "GHOST",
    "DUPLICATE EFFECT",
    "REGRESSION",
    "TWO JOBS FOR ONE KEY",
    "OVERLAP",
    "OVER THE LIMIT",
    "OVER THE RATE",
    "TWO WITH ONE UNIQUE KEY",
)
SHOWN = 5


def table(verdict: Verdict, ledger: Ledger, injections: list[Injection], findings: list[str]) -> str:
    return "\n".join(
        [*_faults(verdict, injections), "", *_ledger(verdict, ledger), "", *_violations(verdict, findings)]
    )


def _faults(verdict: Verdict, injections: list[Injection]) -> list[str]:
    injected = Counter(injection.kind for injection in injections)
    head = f"{'fault':<12} {'count':>5}  {'jobs hit':>8}  {'back in queue p50/p95/max':>28}  "
    lines = [f"{head}{'runs again p50/p95/max':>28}  notes", "-" * 110]
    for kind in (kind for kind in ALL if injected[kind]):
        again, back = verdict.again[kind], verdict.put_back[kind]
        notes = _notes([injection for injection in injections if injection.kind == kind])
        row = f"{kind:<12} {injected[kind]:>5}  {len(again):>8}  {_spread(back):>28}  {_spread(again):>28}  {notes}"
        lines.append(row.rstrip())
        again, back = verdict.again[kind + OUTAGE], verdict.put_back[kind + OUTAGE]
        if again or back:
            lines.append(f"{OUTAGE:<12} {'':>5}  {len(again):>8}  {_spread(back):>28}  {_spread(again):>28}")
    return [*lines, f"{'together':<12} {len(injections):>5}"]


def _notes(injections: list[Injection]) -> str:
    notes = []
    if survivors := sum(injection.survivors for injection in injections):
        notes.append(f"{survivors} processes outlived their parent by more than 1 s")
    if took := [injection.took for injection in injections if injection.took]:
        notes.append(f"last exit after {max(took):.1f} s")
    return "; ".join(notes)


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    ordered = sorted(values)
    middle, high = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.95))
    return f"{middle:.2f} / {high:.2f} / {ordered[-1]:.2f} s"


def _ledger(verdict: Verdict, ledger: Ledger) -> list[str]:
    entries = ledger.snapshot()
    counts = {
        "wishes": len(entries),
        "acked": sum(bool(entry.job_ids) for entry in entries),
        "refused": sum(entry.refused is not None for entry in entries),
        "unknown, resent": sum(entry.unknowns > 0 for entry in entries),
        "starts": verdict.starts,
        **{status: verdict.ended[status] for status in sorted(verdict.ended)},
        "of these worker_lost": verdict.worker_lost,
    }
    late = f"{len(verdict.late)} delayed jobs were late by p50/p95/max {_spread(verdict.late)}"
    unknown = f"the slowest response with an unknown outcome came after {ledger.slowest_unknown:.1f} s"
    return ["  ".join(f"{name} {count}" for name, count in counts.items()), late, unknown]


def _violations(verdict: Verdict, findings: list[str]) -> list[str]:
    kinds = [*PROMISED, *(kind for kind in verdict.violations if kind not in PROMISED)]
    lines = [f"{kind:<24} {len(verdict.violations.get(kind, [])):>5}" for kind in kinds]
    lines.append(f"{'doctor found':<24} {len(findings):>5}")
    for kind in kinds:
        lines += [f"  {kind}: {what}" for what in verdict.violations.get(kind, [])[:SHOWN]]
    return lines + [f"  doctor: {finding}" for finding in findings[:SHOWN]]
