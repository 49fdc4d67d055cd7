"""Names for the codes that conversations carry: languages, countries, channels, devices."""

from __future__ import annotations

import functools
import importlib.resources
from typing import NewType

# Marks the name of an icon in Python source, so that the build finds it and copies its drawing.
Icon = NewType("Icon", str)

_LANGUAGES = {
    "af": "Afrikaans", "am": "Amharic", "ar": "Arabic", "az": "Azerbaijani", "be": "Belarusian",
    "bg": "Bulgarian", "bn": "Bengali", "bs": "Bosnian", "ca": "Catalan", "cs": "Czech", "cy": "Welsh",
    "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian",
    "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fil": "Filipino", "fr": "French", "ga": "Irish",
    "gl": "Galician", "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "hy": "Armenian", "id": "Indonesian", "is": "Icelandic", "it": "Italian", "ja": "Japanese",
    "ka": "Georgian", "kk": "Kazakh", "km": "Khmer", "kn": "Kannada", "ko": "Korean", "ku": "Kurdish",
    "ky": "Kyrgyz", "lb": "Luxembourgish", "lo": "Lao", "lt": "Lithuanian", "lv": "Latvian",
    "mk": "Macedonian", "ml": "Malayalam", "mn": "Mongolian", "mr": "Marathi", "ms": "Malay",
    "mt": "Maltese", "my": "Burmese", "nb": "Norwegian", "ne": "Nepali", "nl": "Dutch", "nn": "Norwegian",
    "no": "Norwegian", "pa": "Punjabi", "pl": "Polish", "ps": "Pashto", "pt": "Portuguese",
    "ro": "Romanian", "ru": "Russian", "si": "Sinhala", "sk": "Slovak", "sl": "Slovenian", "so": "Somali",
    "sq": "Albanian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu",
    "th": "Thai", "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "uz": "Uzbek",
    "vi": "Vietnamese", "yo": "Yoruba", "zh": "Chinese", "zu": "Zulu",
}  # fmt: skip

_CHANNELS = {
    "web": ("Website", Icon("world")),
    "website": ("Website", Icon("world")),
    "widget": ("Website", Icon("world")),
    "whatsapp": ("WhatsApp", Icon("brand-whatsapp")),
    "messenger": ("Messenger", Icon("brand-messenger")),
    "facebook": ("Facebook", Icon("brand-facebook")),
    "instagram": ("Instagram", Icon("brand-instagram")),
    "telegram": ("Telegram", Icon("brand-telegram")),
    "viber": ("Viber", Icon("phone-call")),
    "slack": ("Slack", Icon("brand-slack")),
    "teams": ("Teams", Icon("brand-teams")),
    "discord": ("Discord", Icon("brand-discord")),
    "voice_call": ("Phone call", Icon("phone")),
    "voice": ("Phone call", Icon("phone")),
    "phone": ("Phone call", Icon("phone")),
    "sms": ("SMS", Icon("message")),
    "email": ("Email", Icon("mail")),
    "ios_app": ("iOS app", Icon("brand-apple")),
    "android_app": ("Android app", Icon("brand-android")),
    "app": ("App", Icon("app-window")),
    "api": ("API", Icon("code")),
}

_DEVICES = {
    "desktop": ("Desktop", Icon("device-desktop")),
    "mobile": ("Mobile", Icon("device-mobile")),
    "tablet": ("Tablet", Icon("device-tablet")),
}

_SENTIMENTS = {
    "positive": ("Positive", Icon("mood-smile")),
    "neutral": ("Neutral", Icon("mood-neutral")),
    "negative": ("Negative", Icon("mood-sad")),
}


def language_name(code: str | None) -> str:
    """The English name of a language tag; the tag itself where no name is known.

    Example:
        >>> language_name("en-US")
        'English (US)'
    """
    if not code:
        return "Unknown"
    primary, _, rest = code.replace("_", "-").partition("-")
    name = _LANGUAGES.get(primary.lower())
    if name is None:
        return code
    return f"{name} ({rest.upper() if len(rest) == 2 else rest})" if rest else name


@functools.cache
def _countries() -> dict[str, str]:
    table = importlib.resources.files("tzdata").joinpath("zoneinfo/iso3166.tab").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if line and not line.startswith("#"))
    names = {row[0]: row[1] for row in rows}
    # The table abbreviates some names to fit a menu.
    names.update({"GB": "United Kingdom", "US": "United States", "BA": "Bosnia and Herzegovina"})
    return names


def country_name(code: str | None) -> str:
    """The English name of an ISO 3166-1 alpha-2 code; the code itself where no name is known."""
    if not code:
        return "Unknown"
    return _countries().get(code.upper(), code)


def channel_name(source: str | None) -> str:
    """What a channel is called on the page.

    Example:
        >>> channel_name("voice_call")
        'Phone call'
    """
    if not source:
        return "Unknown"
    known = _CHANNELS.get(source.lower())
    return known[0] if known else source.replace("_", " ").strip().capitalize()


def channel_icon(source: str | None) -> Icon:
    """The mark of a channel."""
    known = _CHANNELS.get((source or "").lower())
    return known[1] if known else Icon("message-circle")


def device_name(device: str | None) -> str:
    """What a device is called on the page."""
    return _DEVICES[device][0] if device in _DEVICES else (device or "Unknown")


def device_icon(device: str | None) -> Icon:
    """The mark of a device."""
    return _DEVICES[device][1] if device in _DEVICES else Icon("devices")


def sentiment_name(sentiment: str) -> str:
    """What a feedback's sentiment is called on the page."""
    return _SENTIMENTS[sentiment][0] if sentiment in _SENTIMENTS else sentiment


def sentiment_icon(sentiment: str) -> Icon:
    """The mark of a sentiment."""
    return _SENTIMENTS[sentiment][1] if sentiment in _SENTIMENTS else Icon("message-circle")


def label(code: str) -> str:
    """A name that a program gave, as words.

    Example:
        >>> label("after_chat")
        'After chat'
    """
    words = " ".join(code.replace("_", " ").split()) or code
    return words[:1].upper() + words[1:]


# Where the pages of docs/ can be read.
DOCS_URL = "https://github.com/agentsight/agentsight/blob/main/docs"
# What is counted within prompt and completion, as it stands after "of it".
TOKEN_PARTS = {
    "prompt": {
        "cached_tokens": "read from the cache",
        "cache_write_tokens": "written to the cache",
        "input_audio_tokens": "audio",
    },
    "completion": {"reasoning_tokens": "reasoning", "output_audio_tokens": "audio"},
}


def token_parts(usage: object, whole: str) -> list[tuple[str, int]]:
    """The parts of the prompt's or the completion's tokens that there are, named."""
    counts = [(said, getattr(usage, name)) for name, said in TOKEN_PARTS[whole].items()]
    return [(said, count) for said, count in counts if count]
