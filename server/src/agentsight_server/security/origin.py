"""Where a request comes from, and which server it means: what browsers say of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit


def is_foreign(headers: Mapping[str, str], public_url: str | None) -> bool:
    """Whether a page of another site made the browser send this.

    Browsers say so in `Sec-Fetch-Site`; older ones, and those without HTTPS, send `Origin` alone. A program that
    sends neither is no browser that could be tricked.

    Example:
        >>> is_foreign({"origin": "https://evil.example", "host": "stats.example.com"}, None)
        True
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = headers.get("origin")
    if origin is None:
        return False
    own = {headers.get("host", "").lower()}
    if public_url:
        own.add(urlsplit(public_url).netloc.lower())
    # A proxy that ends TLS may leave us with another scheme than the browser's: the host decides.
    return urlsplit(origin).netloc.lower() not in own - {""}


def is_our_host(host: str, public_url: str) -> bool:
    """Whether a request's `Host` means this server, whose address is known.

    An address in digits and `localhost` are taken too: proxies and probes use them, and no other site can make a
    browser believe that they are its own.

    Example:
        >>> is_our_host("evil.example", "https://stats.example.com")
        False
    """
    try:
        given, ours = urlsplit("//" + host), urlsplit(public_url)
        name = (given.hostname or "").rstrip(".")
        if name == (ours.hostname or "").rstrip("."):
            return True
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
