"""Languages of mails: each is a file of phrases in `languages/`, and nothing else.

The one rule: adding a language is adding a file. Every file has the keys and the placeholders of the first; one that
has not is refused when the program starts, so that no mail fails for a word.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from app.core.times import zone

_FOLDER = Path(__file__).parent / "languages"
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_LISTS = {"dates.weekdays": 7, "dates.months": 12}

# by another name where a method is called `date`
_Day = date

DEFAULT = "en"
LOCALES = tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text with gaps: literal, placeholder, literal, …"""

    pieces: tuple[str, ...]

    @property
    def placeholders(self) -> frozenset[str]:
        return frozenset(self.pieces[1::2])

    def fill(self, values: Mapping[str, str]) -> str:
        """In one pass: what is filled in is never read as a phrase again, so a name may be `{title}`."""
        return "".join(values[piece] if place % 2 else piece for place, piece in enumerate(self.pieces))


@dataclass(frozen=True, slots=True)
class Language:
    """phrases by `kind.role.part`. lists: the names of days and months, Monday and January first."""

    locale: str
    phrases: Mapping[str, Phrase]
    lists: Mapping[str, tuple[str, ...]]

    def has(self, key: str) -> bool:
        return key in self.phrases

    def say(self, key: str, values: Mapping[str, str] | None = None) -> str:
        return self.phrases[key].fill(values or {})

    def enumerate(self, names: Iterable[str]) -> str:
        """`A`, `A and B`, `A, B and C`; from the fifth name on they are counted."""
        given = list(names)
        if len(given) > 4:
            given = [*given[:3], self.say("words.others", {"count": str(len(given) - 3)})]
        if len(given) < 2:
            return "".join(given)
        return self.say("words.and", {"first": ", ".join(given[:-1]), "last": given[-1]})

    def count(self, unit: str, number: str) -> str:
        return self.say(f"words.{unit}" if number == "1" else f"words.{unit}s", {"count": number})

    def date(self, local: _Day) -> str:
        parts = {
            "weekday": self.lists["dates.weekdays"][local.weekday()],
            "day": str(local.day),
            "month": self.lists["dates.months"][local.month - 1],
            "year": str(local.year),
        }
        return self.say("dates.date", parts)


def parse(locale: str, text: str) -> Language:
    """Raises ValueError for what is neither a text nor one of the two lists, and for a brace that begins no gap."""
    phrases: dict[str, Phrase] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for key, value in _leaves("", tomllib.loads(text)):
        if key in _LISTS and isinstance(value, list) and len(value) == _LISTS[key]:
            lists[key] = tuple(str(each) for each in value)
        elif isinstance(value, str) and key not in _LISTS:
            phrases[key] = _phrase(locale, key, value)
        else:
            raise ValueError(f"{locale}.toml: {key} is not what it should be")
    if missing := _LISTS.keys() - lists.keys():
        raise ValueError(f"{locale}.toml: no {', '.join(sorted(missing))}")
    return Language(locale, phrases, lists)


def compare(first: Language, other: Language) -> None:
    """Raises ValueError with every key that only one of them has, or that has other placeholders."""
    faults = sorted(first.phrases.keys() ^ other.phrases.keys())
    for key in sorted(first.phrases.keys() & other.phrases.keys()):
        if first.phrases[key].placeholders != other.phrases[key].placeholders:
            faults.append(key)
    if faults:
        raise ValueError(f"{other.locale}.toml differs from {first.locale}.toml in: {', '.join(faults)}")


def language(locale: str) -> Language:
    """`de-AT` is `de`; what we have no file for is the default."""
    wanted = locale.replace("_", "-").lower().split("-")[0]
    return _LANGUAGES.get(wanted, _LANGUAGES[DEFAULT])


def spell(locale: str, start: datetime, end: datetime, zone_name: str) -> str:
    """`Monday, 1 June 2026, 10:00 to 10:30 (America/New_York, UTC-04:00)`; UTC where there is no such zone.

    Both dates when they differ, and both offsets when the clock is changed in between.
    """
    words = language(locale)
    first, zone_name = _local(start, zone_name)
    last, _ = _local(end, zone_name)
    parts = {
        "date": words.date(first),
        "start": _clock(first),
        "last_date": words.date(last),
        "end": _clock(last),
        "where": _where(words, zone_name, first, last),
    }
    return words.say("dates.span" if first.date() == last.date() else "dates.long_span", parts)


def spell_instant(locale: str, at: datetime, zone_name: str) -> str:
    """`Monday, 1 June 2026, 10:00 (America/New_York, UTC-04:00)`."""
    words = language(locale)
    local, zone_name = _local(at, zone_name)
    where = _where(words, zone_name, local, local)
    return words.say("dates.instant", {"date": words.date(local), "start": _clock(local), "where": where})


def _local(value: datetime, zone_name: str) -> tuple[datetime, str]:
    try:
        return value.astimezone(zone(zone_name)), zone_name
    except ValueError:
        return value.astimezone(zone("UTC")), "UTC"


def _where(words: Language, zone_name: str, first: datetime, last: datetime) -> str:
    if zone_name == "UTC":
        return "UTC"
    parts = {"zone": zone_name, "offset": _offset(first), "later": _offset(last)}
    return words.say("dates.zone" if parts["offset"] == parts["later"] else "dates.changing_zone", parts)


def _clock(local: datetime) -> str:
    return f"{local:%H:%M}"


def _offset(local: datetime) -> str:
    offset = local.utcoffset() or timedelta()
    minutes = abs(round(offset.total_seconds() / 60))
    return f"UTC{'-' if offset < timedelta() else '+'}{minutes // 60:02}:{minutes % 60:02}"


def _leaves(prefix: str, table: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def _phrase(locale: str, key: str, text: str) -> Phrase:
    pieces = _PLACEHOLDER.split(text)
    if not text.strip() or any("{" in piece or "}" in piece for piece in pieces[::2]):
        raise ValueError(f"{locale}.toml: {key} is empty or has a brace too many")
    return Phrase(tuple(pieces))


def _load() -> dict[str, Language]:
    found = {locale: parse(locale, (_FOLDER / f"{locale}.toml").read_text("utf-8")) for locale in LOCALES}
    for each in found.values():
        compare(found[DEFAULT], each)
    return found


_LANGUAGES = _load()
