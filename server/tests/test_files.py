"""The place for attachments: bytes by their hash, durable, and served safely."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsight_server.attachments.blobs import FileMissing, FilesError, FileStore
from agentsight_server.attachments.file_types import (
    byte_range,
    clean_filename,
    content_disposition,
    file_kind,
    guess_mime_type,
    is_media_type,
    shown_inline,
)

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def zipped(*names: str) -> bytes:
    """A small archive with files of these names."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


@pytest.fixture(params=["folder", "url", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    location: str | Path = {
        "folder": tmp_path / "a" / "files",
        "url": (tmp_path / "with space").as_uri(),
        "memory": "memory:///",
    }[request.param]
    return FileStore(location)


def test_bytes_come_back_under_their_hash(files: FileStore) -> None:
    sha = files.put(b"hello")
    assert sha == hashlib.sha256(b"hello").hexdigest()
    assert files.get(sha) == b"hello"
    assert files.size(sha) == 5
    assert files.exists(sha)


def test_the_same_bytes_are_stored_once(files: FileStore) -> None:
    assert files.put(b"twice") == files.put(b"twice")
    assert list(files.list()) == [(hashlib.sha256(b"twice").hexdigest(), 5)]


def test_an_empty_file_is_a_file(files: FileStore) -> None:
    sha = files.put(b"")
    assert files.get(sha) == b""
    assert list(files.stream(sha)) == []


def test_a_range_of_a_large_file_streams_in_pieces(files: FileStore) -> None:
    data = os.urandom(1_000_003)
    sha = files.put(data)
    assert b"".join(files.stream(sha)) == data
    assert b"".join(files.stream(sha, 10, 300_000)) == data[10:300_000]
    assert b"".join(files.stream(sha, 999_990)) == data[999_990:]
    assert b"".join(files.stream(sha, 5, 5)) == b""
    if not files.location.startswith("memory:"):
        assert max(len(piece) for piece in files.stream(sha)) < len(data)

    async def collect(start: int, end: int | None) -> bytes:
        return b"".join([piece async for piece in files.stream_async(sha, start, end)])

    assert asyncio.run(collect(0, None)) == data
    assert asyncio.run(collect(7, 70)) == data[7:70]


def test_a_deleted_file_is_missing(files: FileStore) -> None:
    sha = files.put(b"short-lived")
    files.delete(sha)
    files.delete(sha)
    assert not files.exists(sha)
    for call in (files.get, files.size, files.stream):
        with pytest.raises(FileMissing, match=sha):
            call(sha)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "abc", "A" * 64, "é" * 64, "0" * 64 + "\n"])
def test_only_a_hash_is_a_name(files: FileStore, name: str) -> None:
    with pytest.raises(FileMissing):
        files.get(name)
    assert not files.exists(name)


def test_threads_that_store_the_same_bytes_agree(files: FileStore) -> None:
    data = [bytes([n % 5]) * 10_000 for n in range(60)]
    with ThreadPoolExecutor(8) as pool:
        shas = list(pool.map(files.put, data))
    assert len(set(shas)) == 5
    assert [files.get(sha) for sha in shas] == data
    assert len(list(files.list())) == 5


def test_a_folder_holds_no_half_written_file(tmp_path: Path) -> None:
    files = FileStore(tmp_path)
    sha = files.put(b"whole")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [sha]
    assert (tmp_path / sha[:2] / sha[2:4] / sha).read_bytes() == b"whole"


def test_a_file_cut_short_by_a_crash_is_written_again(tmp_path: Path) -> None:
    files = FileStore(tmp_path)
    sha = files.put(b"the whole of it")
    (tmp_path / sha[:2] / sha[2:4] / sha).write_bytes(b"the wh")
    assert files.put(b"the whole of it") == sha
    assert files.get(sha) == b"the whole of it"


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs a Unix fsync to watch")
def test_the_file_and_its_directories_are_synced_before_put_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    files = FileStore(tmp_path)
    monkeypatch.setattr(os, "fsync", watched)
    sha = files.put(b"durable")
    folder = tmp_path / sha[:2] / sha[2:4]
    assert synced[0].startswith(str(folder / sha))
    assert set(synced[1:]) == {str(folder), str(folder.parent), str(tmp_path)}


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(FilesError) as caught:
        FileStore(tmp_path / "taken" / "files")
    assert "cannot be written" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_vanished_is_a_files_error_and_works_again(tmp_path: Path) -> None:
    files = FileStore(tmp_path / "files")
    (tmp_path / "files").rmdir()
    (tmp_path / "files").write_text("in the way")
    with pytest.raises(FilesError, match="could not be stored"):
        files.put(b"hello")
    (tmp_path / "files").unlink()
    assert files.get(files.put(b"hello")) == b"hello"


def test_an_unknown_url_is_said_in_one_line() -> None:
    with pytest.raises(FilesError, match=r"ftp://example\.org.*s3://") as caught:
        FileStore("ftp://example.org/files")
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------ kinds, names, headers


@pytest.mark.parametrize(
    ("mime_type", "filename", "kind"),
    [
        ("image/png", None, "image"),
        ("IMAGE/JPEG; q=1", None, "image"),
        ("image/svg+xml", "a.svg", "image"),
        ("application/pdf", None, "document"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", None, "document"),
        ("application/octet-stream", "offer.docx", "document"),
        (None, "list.xlsx", "document"),
        ("text/plain", None, "text"),
        ("text/csv", None, "text"),
        ("application/json", None, "text"),
        ("", "notes.md", "text"),
        ("audio/ogg; codecs=opus", None, "audio"),
        (None, "voice.M4A", "audio"),
        ("video/mp4", None, "video"),
        ("application/zip", None, "other"),
        (None, None, "other"),
        ("nonsense", "x", "other"),
    ],
)
def test_the_kind_of_a_file(mime_type: str | None, filename: str | None, kind: str) -> None:
    assert file_kind(mime_type, filename) == kind


@pytest.mark.parametrize(
    ("filename", "data", "mime_type"),
    [
        ("photo.JPG", b"", "image/jpeg"),
        ("C:\\scans\\offer.pdf", b"", "application/pdf"),
        (None, b"\x89PNG\r\n\x1a\n....", "image/png"),
        ("blob", b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav"),
        ("blob", "grüezi".encode(), "text/plain"),
        ("blob", ("ü" * 4000).encode(), "text/plain"),
        ("blob", b"a" * 4095 + "ü".encode() + b"b", "text/plain"),
        ("blob", b"\x00\x01\x02", "application/octet-stream"),
        ("blob", b"\xff\xfe\xfa", "application/octet-stream"),
        (None, b"", "application/octet-stream"),
        (None, b"GIF87a\x01\x00\x01\x00\x80\x00", "image/gif"),
        (None, b"GIF89a\x01\x00\x01\x00\x80\x00", "image/gif"),
        (None, b"GIF8 is how such a file begins", "text/plain"),
        (None, b"BMW, invoice of May", "text/plain"),
        (None, b"ID3 tags, explained", "text/plain"),
        (None, b"%PDF-1.7\n1 0 obj", "application/pdf"),
        (None, b"ID3\x03\x00\x00\x00\x00", "audio/mpeg"),
        (None, b"\xff\xf3\x90\x64\x00", "audio/mpeg"),
        (None, b"\x00\x00\x00\x14ftypM4A \x00\x00\x00\x00M4A ", "audio/mp4"),
        (None, b"\x00\x00\x00\x14ftypdash\x00\x00\x00\x00iso6", "video/mp4"),
        (None, b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  ", "video/quicktime"),
        (None, zipped("[Content_Types].xml", "word/document.xml"), WORD),
        (None, zipped("a.txt"), "application/zip"),
        # Two things at once: a page within a picture is never called a page, nor shown as one.
        (None, b"<html>\x89PNG\r\n\x1a\n<script>alert(1)</script>", "application/octet-stream"),
        (None, b"GIF89a/*<script>alert(1)</script>*/=1", "text/plain"),
        (None, b"<!DOCTYPE html><script>alert(1)</script>", "text/plain"),
        (None, b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "text/plain"),
    ],
)
def test_a_missing_type_is_worked_out(filename: str | None, data: bytes, mime_type: str) -> None:
    assert guess_mime_type(filename, data) == mime_type


@given(
    st.binary(max_size=64),
    st.sampled_from([b"", b"\x00\x00\x00\x18ftyp", b"PK\x03\x04", b"\x1aE\xdf\xa3", b"RIFF"]),
)
def test_no_bytes_are_too_odd_to_be_looked_at(rest: bytes, beginning: bytes) -> None:
    found = guess_mime_type(None, beginning + rest)
    assert is_media_type(found)
    assert found not in {"text/html", "image/svg+xml", "application/xml"}


def test_only_harmless_types_open_in_the_browser() -> None:
    for mime_type in (
        "image/png",
        "image/jpeg",
        "audio/ogg",
        "video/mp4",
        "application/pdf",
        "text/plain; x=y",
    ):
        assert shown_inline(mime_type), mime_type
    for other in ("text/html", "image/svg+xml", "application/xml", "text/css", "application/zip", "", None):
        assert not shown_inline(other), other


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\cv.docx", "cv.docx"),
        ("a\x00b\r\nc.txt", "abc.txt"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("  many   spaces .txt ", "many spaces .txt"),
        ("račun.pdf", "račun.pdf"),
        ("写真.png", "写真.png"),
        ("lone\ud800surrogate.txt", "lonesurrogate.txt"),
        ("..", "file.png"),
        ("", "file.png"),
        (None, "file.png"),
    ],
)
def test_names_are_safe_to_show_and_to_save(given_name: str | None, shown: str) -> None:
    assert clean_filename(given_name, "image/png") == shown


def test_a_long_name_keeps_its_ending() -> None:
    name = clean_filename("x" * 5000 + ".pdf")
    assert len(name) == 200
    assert name.endswith("x.pdf")


@given(st.text(max_size=400))
def test_any_name_becomes_one_that_fits_a_header(name: str) -> None:
    cleaned = clean_filename(name)
    assert 0 < len(cleaned) <= 200
    assert not set(cleaned) & {"/", "\\", "\x00", "\n", "\r"}
    assert clean_filename(cleaned) == cleaned
    header = content_disposition(cleaned)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2


def test_the_header_carries_the_name_in_full() -> None:
    assert content_disposition("offer.pdf", inline=True) == 'inline; filename="offer.pdf"'
    assert content_disposition("写真.png") == (
        "attachment; filename=\"file.png\"; filename*=UTF-8''%E5%86%99%E7%9C%9F.png"
    )


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-", (0, 100)),
        ("bytes=0-0", (0, 1)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-5", (95, 100)),
        ("bytes=-500", (0, 100)),
        ("bytes=5-2", None),
        ("bytes=-", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-5", None),
        ("bytes=٣-٤", None),
    ],
)
def test_ranges(header: str | None, expected: tuple[int, int] | None) -> None:
    assert byte_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=500-600", "bytes=-0"])
def test_a_range_outside_the_file_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match="100 bytes"):
        byte_range(header, 100)
