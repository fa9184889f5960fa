"""The zygotes of one worker: a lean one, and for job types with heavy modules a branch of it for each set of modules.

A fork copies the page tables of everything that the process has mapped, so no job pays for the modules of others. A
branch is forked when a job first needs it, and retired after a minute without one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from jobs.engine.catalogue.broker_use import BROKER_MODULE
from jobs.engine.catalogue.job_type import JobType

from .horse import SocketChannel
from .kept_horses import KeptHorses
from .zygote import Zygote
from .zygote_process import Modules

logger = logging.getLogger("workhorse")

#: Seconds without a job after which a branch is retired.
IDLE_SECONDS = 60.0
#: Branches that one worker keeps at once, besides the light one: each holds the memory that its modules take.
MAX_BRANCHES = 2
LIGHT_BRANCH: Modules = (BROKER_MODULE,)


@dataclass
class _Branch:
    zygote: Zygote
    #: When a job last used it, in the seconds of `time.monotonic`.
    used_at: float


class Zygotes:
    def __init__(self, lean: Zygote, groups: list[Modules]) -> None:
        self.lean = lean
        self.kept = KeptHorses()
        self._groups = groups
        self._branches: dict[Modules, _Branch] = {}

    @classmethod
    def start(cls, main: Callable[[SocketChannel], None], job_types: Iterable[JobType]) -> Zygotes:
        """Fork the lean zygote. Call this before the process has threads or connections.

        Args:
            main: called by each horse with its channel.
            job_types: what the horses run.
        """
        groups = sorted({job_type.modules for job_type in job_types if job_type.modules})
        return cls(Zygote.start(main, groups), groups)

    def of(self, modules: Modules) -> Zygote:
        """Return the zygote for job types that need `modules`, forked now if there is none: it may not be ready."""
        if not modules:
            return self.lean
        if modules not in self._branches:
            self._make_room(modules)
            zygote = self.lean.branch(self._groups.index(modules), modules)
            self._branches[modules] = _Branch(zygote, time.monotonic())
        branch = self._branches[modules]
        branch.used_at = time.monotonic()
        return branch.zygote

    def read_notices(self) -> None:
        """Read what the zygotes have reported, without waiting, and retire the branches and horses that no job uses."""
        self.lean.read_notices()
        self.kept.look_after()
        now = time.monotonic()
        for modules, branch in list(self._branches.items()):
            branch.zygote.read_notices()
            if branch.zygote.at_work:
                branch.used_at = now
            elif now - branch.used_at > IDLE_SECONDS:
                self._retire(modules)

    def _make_room(self, modules: Modules) -> None:
        heavy = [each for each in self._branches if each != LIGHT_BRANCH]
        if modules != LIGHT_BRANCH and len(heavy) >= MAX_BRANCHES:
            self._retire(min(heavy, key=lambda each: self._branches[each].used_at))

    def _retire(self, modules: Modules) -> None:
        zygote = self._branches.pop(modules).zygote
        self.kept.drop(zygote)
        zygote.retire()
        logger.info("retired the zygote with %s", ", ".join(modules))
