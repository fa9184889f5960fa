"""Harmful and unreadable files."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import pypdf

SAMPLES = Path(__file__).parents[1] / "demo" / "samples"


def encrypted_pdf() -> bytes:
    writer = pypdf.PdfWriter(clone_from=SAMPLES / "contract.pdf")
    writer.encrypt("secret", algorithm="RC4-128")
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()


def pdf_bomb() -> bytes:
    """Make a PDF of one page, whose content unpacks to 200 MB."""
    content = zlib.compress(b"BT /F1 9 Tf (" + b"x" * 200_000_000 + b") Tj ET", 9)
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << >> >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(content) + content + b"\nendstream",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    table = b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + table + b"trailer << /Root 1 0 R /Size 5 >>\nstartxref\n%d\n%%%%EOF" % len(out)
