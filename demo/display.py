"""Show a job in the terminal: a progress bar while it runs, and a line about its result."""

from __future__ import annotations

import json
import sys

from demo.api import Resource

BAR_WIDTH = 30


def show(job: Resource) -> None:
    """Draw the progress bar: over the last one in a terminal, on a line of its own elsewhere."""
    done = round(BAR_WIDTH * job["progress"] / 100)
    bar = "#" * done + "." * (BAR_WIDTH - done)
    message = job["progress_message"] or job["status"]
    text = f"{job['job_type']:<18} [{bar}] {job['progress']:3.0f} %  {message}"
    if sys.stdout.isatty():
        print(f"\r\x1b[K{text[:100]}", end="", flush=True)
    else:
        print(text, flush=True)


def summary(job: Resource) -> str:
    """Return a line about the job's result or error."""
    result = job["result"]
    if job["status"] != "completed":
        return f"{job['status']}: {job['error']} ({job['error_type']})"
    match job["job_type"]:
        case "train-model":
            return f"model {result['model_id']}, right about {result['accuracy']:.0%} of unseen texts"
        case "batch-predict":
            first = result["predictions"][0]
            return f"{result['total']} predictions; the first: {first['label']} ({first['confidence']:.0%} sure)"
        case "extract-vocabulary":
            words = ", ".join(word["word"] for word in result["words"])
            return f"{result['new_words']} new words: {words}" if words else "no new words"
        case "process-image":
            sizes = ", ".join(f"{file['width']} × {file['height']}" for file in result["files"])
            return f"{sizes}; {result['bytes_saved']:,} bytes saved"
        case "process-video":
            size = f"{result['width']} × {result['height']}"
            return f"{result['filename']}: {size}, {result['seconds']:.1f} s, {result['size']:,} bytes"
        case "extract-pdf":
            found = f"{len(result['dates'])} dates, {len(result['amounts'])} amounts, {len(result['emails'])} addresses"
            return f"{found} on {result['pages']} pages, by {result['extracted_by']}"
        case "import-batch":
            first = result["errors"][0]
            bad = f"{result['rejected']} rejected, the first in line {first['line']}: {first['reason']}"
            return f"{result['imported']} rows imported, {bad}"
        case "generate-report":
            return f"{result['filename']} with {result['rows']} rows: GET /api/v1/files/{result['file_id']}/content"
        case _:
            return json.dumps(result)
