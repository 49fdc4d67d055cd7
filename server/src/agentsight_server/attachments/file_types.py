"""What kind of file an attachment is, how its name is shown, and the headers it is served with."""

from __future__ import annotations

import mimetypes
import re
import unicodedata
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import quote

import filetype

__all__ = [
    "FileKind",
    "byte_range",
    "clean_filename",
    "content_disposition",
    "file_kind",
    "guess_mime_type",
    "shown_inline",
]

FileKind = Literal["image", "document", "text", "audio", "video", "other"]

_LONGEST_NAME = 200  # characters; what file systems take once a browser has added " (1)"

_DOCUMENTS = (
    "application/pdf",
    "application/msword",
    "application/rtf",
    "application/epub+zip",
    "application/vnd.ms-",
    "application/vnd.openxmlformats-officedocument",
    "application/vnd.oasis.opendocument",
    "application/vnd.apple.",
)
_TEXTS = frozenset({
    "application/json",
    "application/jsonl",
    "application/x-ndjson",
    "application/xml",
    "application/yaml",
    "application/x-yaml",
    "application/toml",
    "application/javascript",
    "application/sql",
    "application/x-sh",
})  # fmt: skip
_MORE_EXTENSIONS = {
    ".md": "text/markdown", ".webp": "image/webp", ".avif": "image/avif", ".heic": "image/heic",
    ".jsonl": "application/x-ndjson", ".yaml": "application/yaml", ".yml": "application/yaml",
    ".toml": "application/toml", ".log": "text/plain", ".opus": "audio/ogg", ".ogg": "audio/ogg",
    ".m4a": "audio/mp4", ".oga": "audio/ogg", ".weba": "audio/webm", ".webm": "video/webm",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".odt": "application/vnd.oasis.opendocument.text", ".rtf": "application/rtf",
}  # fmt: skip
# What the library calls otherwise than browsers and senders do.
_COMMON_NAMES = {
    "audio/x-wav": "audio/wav", "audio/x-flac": "audio/flac", "video/x-m4v": "video/mp4", "image/apng": "image/png",
}  # fmt: skip
_LOOKED_AT = 8192  # bytes: what the library looks at
_MARKED_TEXTS = (b"%PDF-", b"{\\rtf")
_UNSPECIFIC = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/x-unknown"})
# What browsers show without running anything that is inside; types of one kind are told apart by their exact names,
# since `image/png, text/html` begins like a picture and is shown as a page.
_INLINE = frozenset({
    "image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "image/heic", "image/heif",
    "audio/mpeg", "audio/mp4", "audio/aac", "audio/ogg", "audio/opus", "audio/wav", "audio/x-wav", "audio/webm",
    "audio/flac", "audio/amr", "video/mp4", "video/webm", "video/ogg", "video/quicktime", "video/3gpp",
    "application/pdf", "text/plain",
})  # fmt: skip
# RFC 9110's token; parameters may follow, and are kept as they are said.
_MEDIA_TYPE = re.compile(
    r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,126}/[!#$%&'*+.^_`|~0-9A-Za-z-]{1,126}"
    r"( *; *[!#$%&'*+.^_`|~0-9A-Za-z-]+=([!#$%&'*+.^_`|~0-9A-Za-z-]+|\"[^\"\\\x00-\x1f\x7f-\uffff]*\"))*"
)


def guess_mime_type(filename: str | None = None, data: bytes = b"") -> str:
    """Return the media type by the name's ending, else by the first bytes, else ``application/octet-stream``.

    Example:
        >>> guess_mime_type("voice.ogg"), guess_mime_type(None, b"%PDF-1.7")
        ('audio/ogg', 'application/pdf')
    """
    if filename:
        ending = PurePosixPath(filename.replace("\\", "/")).suffix.lower()
        by_name = _MORE_EXTENSIONS.get(ending) or mimetypes.guess_type(f"file{ending}", strict=False)[0]
        if by_name:
            return by_name
    head = data[:_LOOKED_AT]
    if not head:
        return "application/octet-stream"
    # Text first: "BMW, ..." and "GIF8 is ..." begin as pictures do.
    if _reads_as_text(data) and not head.startswith(_MARKED_TEXTS):
        return "text/plain"
    found: str | None = filetype.guess_mime(head)
    if found is None:
        # The family of MP4 has more brands than anybody lists.
        return "video/mp4" if head[4:8] == b"ftyp" else "application/octet-stream"
    return _COMMON_NAMES.get(found, found)


def _reads_as_text(data: bytes) -> bool:
    head = data[:4096]
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 and len(data) > len(head)  # a character cut by the slice
    return True


def file_kind(mime_type: str | None, filename: str | None = None) -> FileKind:
    """Return the kind that the API and the pages show for a file.

    A type that says nothing (absent, ``application/octet-stream``) is worked out from the name.

    Example:
        >>> file_kind("image/png"), file_kind(None, "offer.docx"), file_kind("application/json")
        ('image', 'document', 'text')
    """
    mime = (mime_type or "").partition(";")[0].strip().lower()
    if mime in _UNSPECIFIC:
        mime = guess_mime_type(filename)
    major = mime.partition("/")[0]
    if major in ("image", "audio", "video"):
        return major  # type: ignore[return-value]
    if mime == "text/rtf" or mime.startswith(_DOCUMENTS):
        return "document"
    if major == "text" or mime in _TEXTS or mime.endswith(("+json", "+xml")):
        return "text"
    return "other"


def is_media_type(text: str) -> bool:
    """Tell whether a text is a media type, such as ``text/plain; charset=utf-8``: two tokens, then parameters.

    Example:
        >>> is_media_type("image/png"), is_media_type("image/png, text/html"), is_media_type("image/png\\n")
        (True, False, False)
    """
    return len(text) <= 255 and _MEDIA_TYPE.fullmatch(text) is not None


def shown_inline(mime_type: str | None) -> bool:
    """Tell whether a file may open in the browser: a list of images, audio, video, PDF and plain text.

    Everything else is only ever downloaded, because a browser may run what is inside (HTML, SVG, XML).
    """
    return (mime_type or "").partition(";")[0].strip().lower() in _INLINE


def clean_filename(filename: str | None, mime_type: str | None = None) -> str:
    """Return a name that is safe to show and to save under.

    Folders, control characters and marks that reverse the reading direction (``gpj.exe`` shown as
    ``exe.jpg``) go; a long name is cut before its ending; a missing one becomes ``file`` with the ending of
    its type.

    Example:
        >>> clean_filename("../../etc/pass wd.txt"), clean_filename(None, "image/png")
        ('pass wd.txt', 'file.png')
    """
    text = (filename or "").encode("utf-8", "ignore").decode("utf-8")
    text = unicodedata.normalize("NFC", text).replace("\\", "/").rpartition("/")[2]
    text = "".join(
        c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp") or c == "\u200d"
    )
    text = " ".join(text.split()).strip(". ")
    if not text.strip("_-. \u200d"):
        return "file" + (mimetypes.guess_extension((mime_type or "").partition(";")[0].strip()) or "")
    if len(text) > _LONGEST_NAME:
        stem, dot, ending = text.rpartition(".")
        ending = dot + ending if dot and len(ending) <= 12 else ""
        text = (stem if ending else text)[: _LONGEST_NAME - len(ending)].rstrip() + ending
    return text


def content_disposition(filename: str, *, inline: bool = False) -> str:
    """Return the Content-Disposition header (RFC 6266) for a cleaned name, in ASCII for every client.

    Example:
        >>> content_disposition("račun.pdf")
        'attachment; filename="racun.pdf"; filename*=UTF-8\\'\\'ra%C4%8Dun.pdf'
    """
    how = "inline" if inline else "attachment"
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    plain = re.sub(r'["\\%]', "_", plain).strip()
    stem, dot, ending = plain.rpartition(".")
    if not (stem if dot else ending).strip(". "):
        plain = f"file{dot}{ending}" if dot else "file"
    header = f'{how}; filename="{plain}"'
    return header if plain == filename else f"{header}; filename*=UTF-8''{quote(filename, safe='')}"


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Read a Range header (RFC 9110) against a file of ``size`` bytes.

    Returns:
        ``(start, end)``, end not included; None where the whole file is to be sent: no header, several
        ranges, a unit other than bytes, or a malformed one.

    Raises:
        ValueError: the range lies outside the file (answer 416).

    Example:
        >>> byte_range("bytes=0-99", 1000), byte_range("bytes=-10", 1000), byte_range(None, 1000)
        ((0, 100), (990, 1000), None)
    """
    match = re.fullmatch(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", header or "", re.IGNORECASE | re.ASCII)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    if start >= size or start >= end:
        raise ValueError(f"the range lies outside the {size} bytes of the file")
    return start, end
