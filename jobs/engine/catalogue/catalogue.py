"""The catalogue: all job types by name, built once at start-up."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from jobs.engine.author.decorator import MAX_NAME_CHARACTERS
from jobs.engine.errors import JobTypeNotFound, UnservableFunction

from .discovery import job_functions
from .job_type import JobType

#: `/jobs/bulk` is an address of its own.
RESERVED_NAMES = frozenset({"bulk"})


class Catalogue(Mapping[str, JobType]):
    """The job types by name, in alphabetical order.

    Raises:
        UnservableFunction: two functions have the same job name, or one has a reserved name.
    """

    def __init__(self, job_types: Iterable[JobType] = ()) -> None:
        self._by_name: dict[str, JobType] = {}
        for job_type in sorted(job_types, key=lambda job_type: (job_type.name, job_type.func_name)):
            if other := self._by_name.get(job_type.name):
                raise UnservableFunction(
                    f"{other.func_name} and {job_type.func_name} have the same job name, '{job_type.name}'; "
                    "give one of them another name with @job(name=…)."
                )
            if job_type.name in RESERVED_NAMES:
                raise UnservableFunction(
                    f"{job_type.func_name} has the job name '{job_type.name}', which the API uses itself; "
                    "give it another name with @job(name=…)."
                )
            self._by_name[job_type.name] = job_type
        self._by_function = {job_type.func_name: job_type for job_type in self._by_name.values()}

    @classmethod
    def discover(cls, packages: Sequence[str]) -> Catalogue:
        """Import each package's direct modules and collect their `@job` functions.

        Subpackages are not searched. A function that several modules import counts once.

        Raises:
            UnservableFunction: a function can't be served; the message names the parameter and the fix.
            ConfigurationError: a package or a module can't be imported.
        """
        return cls(JobType.of(function) for function in job_functions(packages))

    def find(self, name: str) -> JobType:
        """Return a job type.

        Raises:
            JobTypeNotFound: there is no such job type; the message suggests a similar name.
        """
        try:
            return self._by_name[name]
        except KeyError:
            close = difflib.get_close_matches(name[:MAX_NAME_CHARACTERS], self._by_name, n=1)
            hint = f"did you mean '{close[0]}'?" if close else "GET /api/v1/job-types lists them."
            raise JobTypeNotFound(f"The job type '{name[:MAX_NAME_CHARACTERS]}' does not exist; {hint}") from None

    def by_function(self, func_name: str) -> JobType | None:
        """Return the job type of the function that RQ stores as `func_name`, or None."""
        return self._by_function.get(func_name)

    def __getitem__(self, name: str) -> JobType:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)
