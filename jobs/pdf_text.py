"""Reading the text of a PDF in bounded memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jobs.engine import Fatal, File, track

if TYPE_CHECKING:
    from pypdf import PdfReader

MAX_PAGES = 2_000
MAX_CHARACTERS = 5_000_000
#: The most bytes that one compressed part of a PDF may unpack to. A page of text has a few thousand.
MAX_STREAM_BYTES = 20_000_000
_LIMITS: dict[str, Any] = {
    "zlib_maximum_output_length": MAX_STREAM_BYTES,
    "lzw_maximum_output_length": MAX_STREAM_BYTES,
    "run_length_maximum_output_length": MAX_STREAM_BYTES,
    "brotli_maximum_output_length": MAX_STREAM_BYTES,
    "array_based_stream_maximum_output_length": MAX_STREAM_BYTES,
    "stream_decoding_work_maximum_length": 3 * MAX_STREAM_BYTES,
    "jbig2dec_binary": None,  # no other program may read an uploaded file
}


def read_text(file: File, until_percent: float) -> list[str]:
    """Return the text of each page. Report progress up to `until_percent`."""
    from pypdf import apply_configuration

    with pdf_errors(), apply_configuration(**_LIMITS), file.open() as source:
        reader = _opened(source)
        pages: list[str] = []
        for page in track(reader.pages, "Reading the text", total=round(len(reader.pages) * 100 / until_percent)):
            if (content := page.get_contents()) is not None:
                content.get_data()  # extract_text treats a page that unpacks beyond the limits as empty
            pages.append(page.extract_text())
            if sum(map(len, pages)) > MAX_CHARACTERS:
                raise Fatal(f"The PDF has too much text; {MAX_CHARACTERS:,} characters are allowed.")
    if not any(page.strip() for page in pages):
        raise Fatal("The PDF contains no text. It may be scanned; run text recognition on it first.")
    return pages


def _opened(source: object) -> PdfReader:
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it logs a warning for every irregularity
    reader = pypdf.PdfReader(source)  # type: ignore[arg-type]  # a binary file
    # Some PDFs are encrypted with an empty password, and every reader opens them.
    if reader.is_encrypted and not reader.decrypt(""):
        raise Fatal("The PDF is encrypted; upload it without a password.")
    if len(reader.pages) > MAX_PAGES:
        raise Fatal(f"The PDF has {len(reader.pages):,} pages; {MAX_PAGES:,} are allowed.")
    return reader


@contextmanager
def pdf_errors() -> Iterator[None]:
    """Turn the errors that pypdf raises into messages for the user."""
    from pypdf import errors

    try:
        yield
    except TimeoutError:
        raise  # the attempt has timed out; TimeoutError is an OSError
    except (errors.DependencyError, errors.FileNotDecryptedError, errors.WrongPasswordError) as error:
        raise Fatal("The PDF is encrypted; upload it without a password.") from error
    except errors.LimitReachedError as error:
        raise Fatal("The PDF is refused: it unpacks to far more data than its size suggests.") from error
    # The parser fails on a damaged file in many ways.
    except (errors.PyPdfError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise Fatal("The file is damaged or is not a PDF.") from error
    except (RecursionError, NotImplementedError, AssertionError, ZeroDivisionError) as error:
        raise Fatal("The PDF has a structure that can't be read here.") from error
