"""Checks attachments at the call and works out names and types that were left out."""

from __future__ import annotations

import codecs

from agentsight.exceptions import InvalidAttachmentException
from agentsight.items.validation import NAME_LENGTH, choice, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FILES_PER_ITEM", "check_attachments", "guess_mime_type", "media_type"]

FILES_PER_ITEM = 50

_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"BM", "image/bmp"),
    (0, b"{\\rtf", "application/rtf"),
)
# What the standard library's table says differently on different machines.
_EXTENSIONS = {
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    "audio/mp4": ".m4a",
    "audio/flac": ".flac",
    "video/webm": ".webm",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "application/gzip": ".gz",
    "application/rtf": ".rtf",
    "application/octet-stream": ".bin",
}

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_MEDIA_TYPE = (
    rf"{_WORD}{{1,126}}/{_WORD}{{1,126}}"
    rf"( *; *{_WORD}+=({_WORD}+|\"[^\"\\\x00-\x1f\x7f-\uffff]*\"))*"
)
_known_types = frozenset({*_EXTENSIONS, "image/png", "application/pdf"})  # no need to look closer


def check_attachments(
    attachments: object, mode: object, argument: str = "attachment_mode"
) -> tuple[list[tuple[str, str, str | bytes]], int]:
    """Check a list of attachments.

    Args:
        attachments: dicts, at least one and at most 50. In base64 mode `filename`, `mime_type` and `data`
            (base64 text, with or without a `data:` prefix) are needed; in form-data mode `data` is bytes or a
            file opened in binary mode, which is read here from its beginning, and the rest may be left out.
        mode: `base64` or `form_data`, text or `AttachmentMode`.
        argument: what the call names the mode.

    Returns:
        (filename, type, base64 text or bytes) for each, and their size in bytes.

    Raises:
        InvalidAttachmentException: naming the attachment, counted from 1, and what is wrong with it.

    Example:
        >>> check_attachments([{"data": b"%PDF-1.7"}], "form_data")
        ([('attachment_1.pdf', 'application/pdf', b'%PDF-1.7')], 8)
    """
    spelled = mode.lower().replace("-", "_") if type(mode) is str else mode
    chosen = choice(argument, spelled, ("base64", "form_data"), InvalidAttachmentException)
    if not isinstance(attachments, (list, tuple)):
        raise InvalidAttachmentException(
            f"attachments takes a list of dicts, not {type(attachments).__name__}"
        )
    if not attachments:
        raise InvalidAttachmentException("attachments takes at least one attachment")
    if len(attachments) > FILES_PER_ITEM:
        raise InvalidAttachmentException(
            f"attachments takes at most {FILES_PER_ITEM} attachments, not {len(attachments)}"
        )
    check = _base64 if chosen == "base64" else _bytes
    files: list[tuple[str, str, str | bytes]] = []
    try:
        for number, given in enumerate(attachments, 1):
            if not isinstance(given, dict):
                raise InvalidAttachmentException(
                    f"attachment {number} takes a dict with filename, mime_type and data, "
                    f"not {type(given).__name__}"
                )
            files.append(check(f"attachment {number}", number, given))
    except InvalidAttachmentException as error:
        error.contents = {place: file[2] for place, file in enumerate(files) if isinstance(file[2], bytes)}
        raise
    return files, sum(len(file[2]) for file in files)


def _base64(where: str, number: int, given: dict[str, Any]) -> tuple[str, str, str | bytes]:
    missing = [key for key in ("filename", "mime_type", "data") if given.get(key) is None]
    if missing:
        raise InvalidAttachmentException(f"{where} lacks {', '.join(missing)}")
    filename = text(f"{where}: filename", given["filename"], NAME_LENGTH, InvalidAttachmentException)
    mime_type = media_type(f"{where}: mime_type", given["mime_type"])
    data = given["data"]
    if not isinstance(data, str):
        raise InvalidAttachmentException(
            f"{where}: data takes base64 text in base64 mode, not {type(data).__name__}; "
            "for bytes and files use the mode form_data"
        )
    if data.startswith("data:") and ";base64," in data[:300]:
        data = data.partition(";base64,")[2]
    data = "".join(data.split())
    if not data:
        raise InvalidAttachmentException(f"{where}: data is empty")
    from base64 import b64decode

    try:
        b64decode(data, validate=True)
    except ValueError:
        raise InvalidAttachmentException(f"{where}: data is not base64") from None
    return filename, mime_type, data


def media_type(name: str, value: object) -> str:
    """A media type, such as `text/plain; charset=utf-8`: two tokens, then parameters. So the server has it."""
    said = text(name, value, NAME_LENGTH, InvalidAttachmentException)
    if said not in _known_types:
        import re

        if re.fullmatch(_MEDIA_TYPE, said.strip(), re.ASCII) is None:
            raise InvalidAttachmentException(f"{name} takes a media type such as image/png")
    return said


def _bytes(where: str, number: int, given: dict[str, Any]) -> tuple[str, str, str | bytes]:
    data = given.get("data")
    filename, mime_type = given.get("filename"), given.get("mime_type") or given.get("content_type")
    if mime_type:
        mime_type = media_type(f"{where}: mime_type", mime_type)
    if filename:
        filename = text(f"{where}: filename", filename, NAME_LENGTH, InvalidAttachmentException)
    if isinstance(data, (bytes, bytearray, memoryview)):
        content = bytes(data)
    elif hasattr(data, "read"):
        content = _read(where, data)
        name = getattr(data, "name", None)
        if not filename and isinstance(name, str):
            filename = name.replace("\\", "/").rpartition("/")[2]
            if filename:
                filename = text(f"{where}: filename", filename, NAME_LENGTH, InvalidAttachmentException)
    else:
        kind = "None" if data is None else type(data).__name__
        raise InvalidAttachmentException(f"{where}: data takes bytes or a binary file, not {kind}")
    if not content:
        raise InvalidAttachmentException(f"{where}: data is empty")
    mime_type = mime_type or guess_mime_type(content, filename or "")
    return filename or f"attachment_{number}{_extension(mime_type)}", mime_type, content


def _read(where: str, file: Any) -> bytes:
    """The file's bytes: read now, because the caller may close it before they are sent."""
    try:
        if hasattr(file, "seek") and getattr(file, "seekable", bool)():
            file.seek(0)
        content = file.read()
    except Exception as problem:
        raise InvalidAttachmentException(f"{where}: data could not be read: {problem}") from None
    if not isinstance(content, bytes):
        raise InvalidAttachmentException(f"{where}: data takes a file opened in binary mode (mode 'rb')")
    return content


def guess_mime_type(data: bytes, filename: str = "") -> str:
    """The type of some bytes, from the name if it tells, otherwise from how they begin.

    Example:
        >>> guess_mime_type(b"GIF89a...")
        'image/gif'
    """
    if filename:
        from mimetypes import guess_type

        extension = "." + filename.rpartition(".")[2].lower()
        known = next((kind for kind, end in _EXTENSIONS.items() if end == extension), None)
        if guessed := known or guess_type(filename)[0]:
            return guessed
    for offset, signature, mime_type in _SIGNATURES:
        if data[offset : offset + len(signature)] == signature:
            return mime_type
    beginning = data[:2048]
    try:
        codecs.utf_8_decode(beginning, "strict", len(data) <= 2048)  # a cut may split a character
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "application/octet-stream" if b"\0" in beginning else "text/plain"


def _extension(mime_type: str) -> str:
    kind = mime_type.partition(";")[0].strip().lower()
    if kind in _EXTENSIONS:
        return _EXTENSIONS[kind]
    from mimetypes import guess_extension

    return guess_extension(kind) or ".bin"
