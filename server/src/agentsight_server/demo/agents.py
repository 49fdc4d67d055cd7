"""The agents of the demo: who they are, whom they talk to, and when."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COUNTRIES", "ROLES", "Role", "role"]

Weights = dict[str, float]

# Which countries the speakers of a language write from, and which variants of it they report.
COUNTRIES: dict[str, Weights] = {
    "en": {
        "GB": 26, "US": 18, "IE": 8, "NL": 8, "SE": 6, "NO": 5, "DK": 5, "FI": 3, "AU": 5, "CA": 5, "PL": 4,
        "CZ": 3, "IN": 3, "SG": 2, "NZ": 2, "ZA": 2,
    },
    "de": {"DE": 66, "AT": 22, "CH": 12},
    "hr": {"HR": 86, "BA": 9, "SI": 5},
    "it": {"IT": 92, "CH": 8},
    "fr": {"FR": 72, "BE": 16, "CH": 8, "CA": 4},
    "es": {"ES": 84, "MX": 7, "AR": 4, "CO": 3, "CL": 2},
    "ja": {"JP": 100},
    "ar": {"EG": 35, "AE": 30, "SA": 20, "MA": 15},
}  # fmt: skip
VARIANTS: dict[tuple[str, str], str] = {
    ("en", "US"): "en-US",
    ("en", "GB"): "en-GB",
    ("de", "AT"): "de-AT",
    ("de", "CH"): "de-CH",
    ("es", "MX"): "es-MX",
    ("fr", "CA"): "fr-CA",
}


@dataclass(frozen=True)
class Role:
    """An agent of the demo.

    ``per_day``: conversations on an average day. ``hours``: one digit per hour of the day, the busier the higher;
    ``weekdays``: likewise from Monday. ``models``: (days before the end from which it is used, model, weight).
    ``reply``: usual seconds that the model takes. ``bad_day``: days before the end on which its tools fail.
    """

    slug: str
    name: str
    time_zone: str
    per_day: float
    languages: Weights
    channels: Weights
    hours: str
    weekdays: str
    models: tuple[tuple[int, str, float], ...]
    reply: float
    escalation: Weights
    escalation_rate: float
    anonymous: float
    customer: str
    code: str
    launched: int | None = None
    bad_day: int | None = None
    spoken: bool = False


ROLES: tuple[Role, ...] = (
    Role(
        slug="hotel",
        name="Hotel Adria",
        time_zone="Europe/Zagreb",
        per_day=10.5,
        languages={"en": 41, "de": 24, "hr": 12, "it": 11, "fr": 9, "ja": 3},
        channels={"web": 42, "whatsapp": 40, "messenger": 10, "telegram": 8},
        hours="100002465443333345678853",
        weekdays="4445798",
        models=((400, "gpt-4o-mini", 1), (38, "gpt-5-mini", 4)),
        reply=1.2,
        escalation={"contact_human": 3, "fallback_to_human": 1},
        escalation_rate=0.05,
        anonymous=0.08,
        customer="guest-{n}",
        code="AD-",
    ),
    Role(
        slug="shop",
        name="Fjell & Fjord",
        time_zone="Europe/Berlin",
        per_day=11,
        languages={"en": 46, "de": 29, "fr": 12, "es": 10, "ar": 3},
        channels={"web": 64, "messenger": 16, "whatsapp": 12, "email": 8},
        hours="210000124556766555678974",
        weekdays="8766578",
        models=((400, "claude-haiku-4-5", 5), (400, "claude-sonnet-4-5", 1)),
        reply=1.7,
        escalation={"open_ticket": 3, "fallback_to_human": 2, "contact_human": 1},
        escalation_rate=0.08,
        anonymous=0.05,
        customer="cust_{hex}",
        code="FF-",
        bad_day=17,
    ),
    Role(
        slug="city",
        name="City of Vrbograd",
        time_zone="Europe/Zagreb",
        per_day=5,
        languages={"hr": 74, "en": 19, "it": 7},
        channels={"web": 62, "whatsapp": 22, "telegram": 9, "kiosk": 7},
        hours="000000378998765443332110",
        weekdays="9877522",
        models=((400, "gemini-2.5-flash", 2), (30, "vrbograd-llm-8b", 1)),
        reply=2.3,
        escalation={"contact_human": 2, "open_ticket": 1},
        escalation_rate=0.07,
        anonymous=0.55,
        customer="citizen-{hex}",
        code="VG-",
    ),
    Role(
        slug="clinic",
        name="Clínica Mirador",
        time_zone="Europe/Madrid",
        per_day=6,
        languages={"es": 72, "en": 18, "fr": 10},
        channels={"voice": 90, "whatsapp": 10},
        hours="000000014897654566642100",
        weekdays="9877631",
        models=((400, "gpt-4.1-mini", 1),),
        reply=0.8,
        escalation={"contact_human": 1},
        escalation_rate=0.09,
        anonymous=0.12,
        customer="caller-{hex}",
        code="CM-",
        launched=57,
        spoken=True,
    ),
)


def role(name: str) -> Role:
    """Return the agent by its name.

    Raises:
        KeyError: the demo has no such agent.
    """
    for each in ROLES:
        if each.name == name:
            return each
    raise KeyError(name)
