"""Days, dates and times as people write them in the languages of the demo."""

from __future__ import annotations

from datetime import date

__all__ = ["day_name", "spoken_date"]

# As they stand after the preposition that the stories put before them ("on Friday", "u petak", "el viernes").
_DAYS: dict[str, str] = {
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    "hr": "ponedjeljak utorak srijedu četvrtak petak subotu nedjelju",
    "it": "lunedì martedì mercoledì giovedì venerdì sabato domenica",
    "fr": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "es": "lunes martes miércoles jueves viernes sábado domingo",
    "ja": "月曜日 火曜日 水曜日 木曜日 金曜日 土曜日 日曜日",
    "ar": "الاثنين الثلاثاء الأربعاء الخميس الجمعة السبت الأحد",
}
_MONTHS: dict[str, str] = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "ar": "يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر",
}


def day_name(language: str, day: date) -> str:
    """Return the weekday's name.

    Example:
        >>> day_name("fr", date(2026, 8, 14))
        'vendredi'
    """
    return _DAYS[language].split()[day.weekday()]


def spoken_date(language: str, day: date) -> str:
    """Return day and month.

    Example:
        >>> spoken_date("es", date(2026, 8, 14)), spoken_date("ja", date(2026, 8, 14))
        ('14 de agosto', '8月14日')
    """
    if language == "hr":
        return f"{day.day}. {day.month}."
    if language == "ja":
        return f"{day.month}月{day.day}日"
    month = _MONTHS[language].split()[day.month - 1]
    joint = {"de": ". ", "es": " de "}.get(language, " ")
    return f"{day.day}{joint}{month}"
