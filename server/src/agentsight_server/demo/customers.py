"""The customers of the demo: where they are, what they write from, and who comes back."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from agentsight_server.demo.addresses import NETWORKS
from agentsight_server.demo.agents import COUNTRIES, VARIANTS, Role, Weights

__all__ = ["Customer", "Customers", "pick"]

_DEVICES: dict[str, Weights] = {
    "web": {"desktop": 52, "mobile": 40, "tablet": 8},
    "email": {"desktop": 70, "mobile": 30},
    "kiosk": {"tablet": 100},
}
_PHONE: Weights = {"mobile": 93, "tablet": 4, "desktop": 3}
_TIERS: Weights = {"standard": 70, "plus": 22, "gold": 8}
_DIALLING: dict[str, int] = {
    "HR": 385, "BA": 387, "SI": 386, "DE": 49, "AT": 43, "CH": 41, "GB": 44, "IE": 353, "US": 1, "CA": 1, "AU": 61,
    "NZ": 64, "NL": 31, "SE": 46, "NO": 47, "DK": 45, "FI": 358, "BE": 32, "FR": 33, "IT": 39, "ES": 34, "PT": 351,
    "MX": 52, "AR": 54, "CO": 57, "CL": 56, "JP": 81, "SG": 65, "IN": 91, "ZA": 27, "EG": 20, "AE": 971, "SA": 966,
    "MA": 212, "PL": 48, "CZ": 420,
}  # fmt: skip
_RETURNING = 0.34
_REMEMBERED = 160  # of the latest customers; older ones rarely come back


def pick(rng: random.Random, weights: Weights) -> str:
    """Choose a key by its weight."""
    return rng.choices(list(weights), list(weights.values()))[0]


@dataclass(frozen=True)
class Customer:
    """A customer as the bot knows them: ``language`` is what they speak, ``locale`` what they report."""

    customer_id: str | None
    language: str
    locale: str | None
    country: str
    ip: str | None
    device: str | None
    channel: str
    tier: str


class Customers:
    """The customers of one agent, some of whom come back."""

    def __init__(self, role: Role, rng: random.Random) -> None:
        self._role = role
        self._rng = rng
        self._met: list[Customer] = []

    def next(self) -> Customer:
        """Return who writes next: someone met before in a third of the cases, else someone new."""
        rng = self._rng
        if self._met and rng.random() < _RETURNING:
            customer = rng.choice(self._met[-_REMEMBERED:])
            if customer.ip and rng.random() < 0.4:  # another address of the same provider
                customer = replace(customer, ip=f"{customer.ip.rpartition('.')[0]}.{rng.randrange(2, 254)}")
            return customer
        customer = self._new()
        if customer.customer_id is not None:
            self._met.append(customer)
        return customer

    def _new(self) -> Customer:
        rng, role = self._rng, self._role
        language = pick(rng, role.languages)
        country = pick(rng, COUNTRIES[language])
        channel = pick(rng, role.channels)
        device: str | None = pick(rng, _DEVICES.get(channel, _PHONE))
        ip: str | None = f"{rng.choice(NETWORKS[country])}.{rng.randrange(2, 254)}"
        known = channel != "kiosk" and rng.random() >= role.anonymous
        if channel == "kiosk":
            ip = "10.20.0.14"  # a screen in the town hall: a private address, no place
        elif channel == "voice":
            device, ip = ("mobile" if rng.random() < 0.8 else None), (ip if rng.random() < 0.8 else None)
        locale: str | None = VARIANTS.get((language, country), language)
        return Customer(
            customer_id=self._customer_id(channel, country) if known else None,
            language=language,
            locale=locale if rng.random() < 0.97 else None,
            country=country,
            ip=ip,
            device=device,
            channel=channel,
            tier=pick(rng, _TIERS),
        )

    def _customer_id(self, channel: str, country: str) -> str:
        rng = self._rng
        if channel == "whatsapp":  # known by their number, of which the bot keeps the prefix and a hash
            return f"wa-{_DIALLING[country]}-{rng.getrandbits(28):07x}"
        return self._role.customer.format(n=rng.randrange(1000, 9999), hex=f"{rng.getrandbits(28):07x}")
