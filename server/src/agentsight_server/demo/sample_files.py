"""The files of the demo, drawn in code: pictures, PDFs, voice messages."""

from __future__ import annotations

import base64
import functools
import math
import struct
import zlib

__all__ = ["make"]

_WIDTH, _HEIGHT = 300, 200
_Colour = tuple[int, int, int]


def make(kind: str, filename: str, variant: int = 0) -> dict[str, str]:
    """Make an attachment as the API takes it: ``{"filename", "mime_type", "data"}``, data in base64.

    Args:
        kind: image, document, audio or text.
        filename: its name; the title of a document.
        variant: another number gives another picture or recording.
    """
    if kind == "image":
        mime_type, data = "image/png", _png(_scene_of(filename), variant % 3)
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


def _scene_of(filename: str) -> str:
    if filename.startswith(("air", "klima")):
        return "cooler"
    return "street" if filename.startswith("prijava") else "fabric"


def _cooler(x: int, y: int, variant: int) -> _Colour:
    """An air conditioner on a wall, with water running down."""
    if 40 < x < 260 and 40 < y < 105:
        return (206, 211, 216) if y > 84 and y % 6 < 2 else (245, 246, 248)
    drop = 70 + 55 * variant
    if y > 105 and (abs(x - drop) < 3 or (abs(x - drop - 32) < 2 and y < 170)):
        return (122, 158, 186)
    return (229, 222, 208)


def _fabric(x: int, y: int, variant: int) -> _Colour:
    """A piece of clothing with its zip, and a tear."""
    cloth: _Colour = ((38, 78, 112), (108, 46, 40), (46, 84, 62))[variant]
    if abs(x - 150) < 6:
        return (196, 190, 176) if y % 8 < 4 else (120, 116, 108)
    along = (x - 190) * 0.8 + (y - 110) * 0.6
    across = (y - 110) * 0.8 - (x - 190) * 0.6 + (5 if (x * 3 + y) % 11 < 5 else 0)
    if abs(along) < 36 and abs(across) < 9 * (1 - abs(along) / 40):
        return (233, 226, 212)
    return cloth if (x + y) % 9 else (cloth[0] + 14, cloth[1] + 14, cloth[2] + 14)


def _street(x: int, y: int, variant: int) -> _Colour:
    """A road with its kerb, and a hole in it."""
    if y < 46:
        return (176, 172, 164) if y > 38 else (142, 150, 128)
    wide, high = x - 120 - 30 * variant, (y - 128) * 2.1
    ragged = 48 + ((x * 7 + y * 13) % 17) / 2
    distance = wide * wide + high * high
    if distance < ragged * ragged:
        return (38, 36, 34) if distance < (ragged - 12) ** 2 else (70, 66, 62)
    grain = (x * 31 + y * 17 + x * y) % 23
    return (104 + grain, 104 + grain, 108 + grain)


_SCENES = {"cooler": _cooler, "fabric": _fabric, "street": _street}


@functools.cache
def _png(scene: str, variant: int) -> bytes:
    """Draw a photograph of sorts, brighter towards the window on the left."""
    paint = _SCENES[scene]
    rows = bytearray()
    for y in range(_HEIGHT):
        rows.append(0)  # no filter for this row
        for x in range(_WIDTH):
            red, green, blue = paint(x, y, variant)
            shade = 256 - x // 6 - y // 8
            rows += bytes((red * shade >> 8, green * shade >> 8, blue * shade >> 8))

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
