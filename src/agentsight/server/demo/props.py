"""The files of the demo, drawn in code: pictures, PDFs, voice messages."""

from __future__ import annotations

import base64
import functools
import math
import struct
import zlib

__all__ = ["make"]

_PALETTES = (
    ((232, 236, 241), (120, 144, 172), (38, 70, 112)),
    ((244, 238, 228), (193, 154, 107), (94, 62, 38)),
    ((233, 243, 236), (116, 166, 135), (37, 89, 62)),
)
_WIDTH, _HEIGHT = 300, 200


def make(kind: str, filename: str, variant: int = 0) -> dict[str, str]:
    """Make an attachment as the API takes it: ``{"filename", "mime_type", "data"}``, data in base64.

    Args:
        kind: image, document, audio or text.
        filename: its name; the title of a document.
        variant: another number gives another picture or recording.
    """
    if kind == "image":
        mime_type, data = "image/png", _png(variant % 4)
    elif kind == "document":
        mime_type, data = "application/pdf", _pdf(filename)
    elif kind == "audio":
        mime_type, data = "audio/wav", _wav(variant % 3)
    else:
        mime_type, data = "text/plain", _calendar(filename)
    return {"filename": filename, "mime_type": mime_type, "data": base64.b64encode(data).decode()}


def _calendar(filename: str) -> bytes:
    """Write a plain-text calendar: a line for every second week."""
    lines = [filename.rpartition(".")[0].replace("-", " ").capitalize(), ""]
    lines += [f"{week:2d}.   {'■' if week % 4 else '■ ■'}" for week in range(1, 53, 2)]
    return "\n".join(lines).encode() + b"\n"


@functools.cache
def _png(variant: int) -> bytes:
    """Draw a photograph of sorts: a lit wall, an object on it, and the stain or crack to complain about."""
    palette = _PALETTES[variant % len(_PALETTES)]
    centre_x, centre_y = 90 + 31 * variant, 80 + 11 * variant
    rows = bytearray()
    for y in range(_HEIGHT):
        rows.append(0)  # no filter for this row
        # A row of each colour as it is lit at this height, from which the pixels are taken.
        light, middle, dark = (
            [
                bytes(int(channel * (1 - 0.2 * y / _HEIGHT - 0.03 * step)) for channel in colour)
                for step in range(8)
            ]
            for colour in palette
        )
        grooved = y % 16 < 2
        for x in range(_WIDTH):
            inside = 45 < x < 255 and 58 < y < 130
            colour = middle if inside else light
            away_x, away_y = x - centre_x, (y - centre_y) * 1.4
            ragged = 24 + 6 * ((x * 7 + y * 3 + variant) % 5) / 5
            if away_x * away_x + away_y * away_y < ragged * ragged or (inside and grooved):
                colour = dark
            rows += colour[x * 8 // _WIDTH]

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack("!I", len(body)) + name + body + struct.pack("!I", zlib.crc32(name + body))

    header = struct.pack("!IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)
    picture = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(rows), 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + picture


def _pdf(title: str) -> bytes:
    """Write one A4 page with a heading and a few ruled lines."""
    text = title.rpartition(".")[0].replace("-", " ").replace("_", " ").capitalize()
    safe = text.encode("latin-1", "replace").decode("latin-1").translate({40: None, 41: None, 92: None})
    rules = "".join(f"60 {700 - 28 * n} m 535 {700 - 28 * n} l S\n" for n in range(8))
    content = f"BT /F1 24 Tf 60 750 Td ({safe}) Tj ET\n0.8 w 0.75 G\n{rules}"
    stream = content.encode("latin-1")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return bytes(out) + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        start,
    )


@functools.cache
def _wav(variant: int) -> bytes:
    """Hum a second and a half of a voice-like tone, 8 kHz mono."""
    rate, seconds = 8000, 1.5
    count = int(rate * seconds)
    samples = bytearray()
    for n in range(count):
        time = n / rate
        pitch = 140 + 20 * variant + 25 * math.sin(2 * math.pi * 2.2 * time)
        loud = 40 * abs(math.sin(2 * math.pi * 1.7 * time)) * math.sin(math.pi * n / count)
        samples.append(int(128 + loud * math.sin(2 * math.pi * pitch * time)))
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate, 1, 8)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", count) + bytes(samples)
    return struct.pack("<4sI", b"RIFF", len(body)) + body
