from __future__ import annotations

from tests.unit.engine.job_packages import write_package

__all__ = ["write_package"]
