"""A shipped job in a process that dies at the end of one of its steps."""

from __future__ import annotations

import os
import signal
from typing import Any
from unittest.mock import patch

from jobs import pdfs
from jobs.engine import File, current_job, job, progress


@job(timeout=120)
def extract_pdf_dying(file: File, after_percent: int) -> pdfs.ExtractedPdf:
    """Extract a PDF as extract-pdf does. The process is killed once, at this progress."""
    with patch.object(pdfs, "progress", _Deadly(after_percent)):
        return pdfs.extract_pdf(file)


class _Deadly:
    def __init__(self, at_percent: int) -> None:
        self._at_percent = at_percent

    def __call__(self, percent: float, *arguments: Any) -> None:
        progress(percent, *arguments)
        current = current_job()
        if percent == self._at_percent and current is not None and not current.resumed:
            os.kill(os.getpid(), signal.SIGKILL)
