"""Places: an address becomes a country, a city and a time zone, and never an error."""

from __future__ import annotations

import ipaddress
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agentsight_server.reference.geo import ATTRIBUTION, Place, Places, country_time_zone


@pytest.fixture(scope="module")
def places() -> Places:
    return Places()


@pytest.mark.parametrize(
    ("ip", "country", "zone"),
    [
        ("161.53.72.1", "HR", "Europe/Zagreb"),
        ("203.178.141.194", "JP", "Asia/Tokyo"),
        ("2001:b68::1", "HR", "Europe/Zagreb"),
        ("::ffff:161.53.72.1", "HR", "Europe/Zagreb"),
        ("  161.53.72.1\n", "HR", "Europe/Zagreb"),
        ("8.8.8.8", "US", None),
    ],
)
def test_a_public_address_has_a_place(places: Places, ip: str, country: str, zone: str | None) -> None:
    place = places.lookup(ip)
    assert place is not None
    assert (place.country, place.timezone_name) == (country, zone)
    assert place.city
    assert place.country_name


@pytest.mark.parametrize(
    "ip",
    [
        None,
        "",
        " ",
        "nonsense",
        "999.1.1.1",
        "1.2.3",
        "8.8.8.8:443",
        "8.8.8.8, 1.1.1.1",
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "127.0.0.1",
        "169.254.1.1",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "192.0.2.7",
        "198.18.0.1",
        "::",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:192.168.1.1",
        "\x00",
        "８.８.８.８",
        "8" * 100_000,
    ],
)
def test_an_address_without_a_place_gives_none(places: Places, ip: str | None) -> None:
    assert places.lookup(ip) is None


def test_every_kind_of_address_is_answered_without_an_error(places: Places) -> None:
    seen = {
        places.lookup(f"{first}.{second}.17.9") and places.lookup(f"{first}.{second}.17.9").country  # type: ignore[union-attr]
        for first in range(1, 256)
        for second in (0, 77, 200)
    }
    assert None in seen
    assert len(seen) > 40


def test_a_repeated_lookup_costs_microseconds(places: Places) -> None:
    places.lookup("161.53.72.1")
    best = min(_seconds_for(places, 1000) for _ in range(5))
    assert best / 1000 < 20e-6


def _seconds_for(places: Places, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        places.lookup("161.53.72.1")
    return time.perf_counter() - start


def test_threads_share_one_database() -> None:
    fresh = Places()
    addresses = [f"161.53.{n}.1" for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(fresh.lookup, addresses * 3))
    assert found == [fresh.lookup(ip) for ip in addresses] * 3
    assert {place.country for place in found if place} >= {"HR"}
    fresh.close()


@pytest.mark.parametrize(
    ("country", "zone"),
    [
        ("HR", "Europe/Zagreb"),
        ("JP", "Asia/Tokyo"),
        ("IN", "Asia/Kolkata"),
        ("DE", "Europe/Berlin"),  # two zones in the tz database, one clock
        ("AR", "America/Argentina/Buenos_Aires"),
        ("US", None),
        ("ES", None),  # the Canary Islands
        ("BR", None),
        ("XX", None),
        ("", None),
        (None, None),
    ],
)
def test_the_time_zone_of_a_country_that_has_one(country: str | None, zone: str | None) -> None:
    assert country_time_zone(country) == zone


def test_the_attribution_names_the_source() -> None:
    assert "DB-IP" in ATTRIBUTION


# ------------------------------------------------------------------ a database of one's own


def test_a_database_with_time_zones_wins_over_the_country(tmp_path: Path) -> None:
    new_york = {
        "city": {"names": {"en": "New York"}},
        "country": {"iso_code": "US", "names": {"en": "United States"}},
        "location": {"time_zone": "America/New_York"},
    }
    split = {"country": {"iso_code": "HR"}, "location": {}}
    places = Places(write_mmdb(tmp_path / "own.mmdb", {"9.9.0.0/16": new_york, "9.8.0.0/16": split}))
    assert places.lookup("9.9.9.9") == Place("US", "United States", "New York", "America/New_York")
    assert places.lookup("9.8.1.1") == Place("HR", None, None, "Europe/Zagreb")
    assert places.lookup("9.7.1.1") is None
    assert places.lookup("2600::1") is None  # a database of IPv4 alone
    places.close()


def test_records_of_odd_shape_give_what_they_have(tmp_path: Path) -> None:
    records: dict[str, Any] = {
        "9.1.0.0/16": {"country": {"iso_code": "ZZ"}},
        "9.2.0.0/16": {"country": "HR", "city": {"names": {}}},
        "9.3.0.0/16": {"city": {"names": {"en": "Split"}}},
        "9.4.0.0/16": "not a map",
    }
    places = Places(write_mmdb(tmp_path / "odd.mmdb", records))
    assert places.lookup("9.1.1.1") is None
    assert places.lookup("9.2.1.1") is None
    assert places.lookup("9.3.1.1") == Place(city="Split")
    assert places.lookup("9.4.1.1") is None
    places.close()


@pytest.mark.parametrize("content", [None, b"", b"not a database" * 100])
def test_an_unreadable_database_is_said_once_and_gives_no_places(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "broken.mmdb"
    if content is not None:
        path.write_bytes(content)
    places = Places(path)
    assert places.lookup("8.8.8.8") is None
    assert places.lookup("1.1.1.1") is None
    assert len(caplog.records) == 1
    assert str(path) in (places.problem() or "")


def write_mmdb(path: Path, networks: dict[str, Any]) -> Path:
    """Write a small IPv4 database in the MaxMind DB format (24-bit records)."""
    tree: list[list[Any]] = [[None, None]]
    for network, record in networks.items():
        net = ipaddress.IPv4Network(network)
        bits = f"{int(net.network_address):032b}"[: net.prefixlen]
        node = 0
        for bit in bits[:-1]:
            following = tree[node][int(bit)]
            if following is None:
                tree.append([None, None])
                following = tree[node][int(bit)] = len(tree) - 1
            node = following
        tree[node][int(bits[-1])] = {"record": record}
    data = bytearray()
    out = bytearray()
    for pair in tree:
        for entry in pair:
            if entry is None:
                value = len(tree)
            elif isinstance(entry, dict):
                value = len(tree) + 16 + len(data)
                data += _encode(entry["record"])
            else:
                value = entry
            out += value.to_bytes(3, "big")
    short = {
        "record_size": 24,
        "ip_version": 4,
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
    }
    metadata = {
        "node_count": len(tree),
        **{name: _Short(value) for name, value in short.items()},
        "database_type": "Test-City",
        "languages": ["en"],
        "build_epoch": _Long(1_700_000_000),
        "description": {"en": "for a test"},
    }
    path.write_bytes(bytes(out) + b"\x00" * 16 + bytes(data) + b"\xab\xcd\xefMaxMind.com" + _encode(metadata))
    return path


class _Short(int):
    """Two bytes."""


class _Long(int):
    """Eight bytes."""


def _encode(value: Any) -> bytes:
    if isinstance(value, dict):
        return bytes([7 << 5 | len(value)]) + b"".join(_encode(k) + _encode(v) for k, v in value.items())
    if isinstance(value, list):
        return bytes([len(value), 11 - 7]) + b"".join(map(_encode, value))
    if isinstance(value, _Short):
        return bytes([5 << 5 | 2]) + struct.pack("!H", value)
    if isinstance(value, _Long):
        return bytes([8, 9 - 7]) + struct.pack("!Q", value)
    if isinstance(value, int):
        return bytes([6 << 5 | 4]) + struct.pack("!I", value)
    text = value.encode()
    assert len(text) < 29
    return bytes([2 << 5 | len(text)]) + text
