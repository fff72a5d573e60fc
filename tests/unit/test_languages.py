"""Languages of mails: the same keys and gaps in each, times as people say them, and nothing filled in twice."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.domain.notifications import language as module
from app.domain.notifications.compose import compose
from app.domain.notifications.language import DEFAULT, LOCALES, compare, language, parse, spell, spell_instant
from app.domain.notifications.letters import Kind, Role
from tests.unit.mail_samples import EVERY, full, letter

FOLDER = Path(module.__file__).parent / "languages"
LISTS = """
[dates]
weekdays = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]
months = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]
"""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_there_are_two_languages() -> None:
    assert {DEFAULT, "de"} <= set(LOCALES)


@pytest.mark.parametrize("locale", LOCALES)
def test_a_language_has_the_keys_and_gaps_of_the_first(locale: str) -> None:
    first, other = language(DEFAULT), language(locale)
    assert other.locale == locale
    assert {key: phrase.placeholders for key, phrase in other.phrases.items()} == {
        key: phrase.placeholders for key, phrase in first.phrases.items()
    }


@pytest.mark.parametrize("locale", [each for each in LOCALES if each != DEFAULT])
def test_a_language_is_not_a_copy(locale: str) -> None:
    first, other = language(DEFAULT), language(locale)
    same = {key for key in first.phrases if first.phrases[key].pieces == other.phrases[key].pieces}
    assert not {key for key in same if key.split(".")[-1] in {"heading", "lead", "more", "you", "host"}}


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(("kind", "role"), EVERY)
def test_every_letter_has_its_words(kind: Kind, role: Role, locale: str) -> None:
    compose(full(kind, role, locale))
    compose(letter(kind, role, locale=locale))


def test_which_letters_there_are() -> None:
    attendee, guest, host, member = Role.ATTENDEE, Role.GUEST, Role.HOST, Role.MEMBER
    expected = {
        Kind.BOOKED: {attendee, guest, host},
        Kind.PENDING: {attendee, host, member},
        Kind.CONFIRMED: {attendee, guest, host},
        Kind.DECLINED: {attendee, guest, host},
        Kind.RESCHEDULED: {attendee, guest, host},
        Kind.CANCELLED: {attendee, guest, host},
        Kind.WITHDRAWN: {attendee, guest, host},
        Kind.EMAIL_CHANGED: {attendee, host},
        Kind.REMOVED: {attendee, guest, host},
        Kind.LINK_READY: {attendee, guest},
        Kind.REMINDER: {attendee, guest},
        Kind.WAITLIST_OFFER: {attendee},
        Kind.INVITATION: {member},
        Kind.PASSWORD_RESET: {member},
        Kind.WEBHOOK_DISABLED: {member},
        Kind.CALENDAR_REAUTH: {member},
        Kind.CALENDAR_PAUSED: {member},
        Kind.CALENDAR_RESTORED: {member},
    }
    assert {(kind, role) for kind, roles in expected.items() for role in roles} == set(EVERY)
    assert expected.keys() == set(Kind)


@pytest.mark.parametrize("locale", LOCALES)
def test_every_letter_has_subject_heading_and_lead(locale: str) -> None:
    tables = tomllib.loads((FOLDER / f"{locale}.toml").read_text())
    topics = [(kind.value, role.value) for kind, role in EVERY] + [
        ("unanswered", role) for role in tables["unanswered"]
    ]
    for kind, role in topics:
        assert {"subject", "heading", "lead"} <= tables[kind][role].keys()


# --- what a file may be ---


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no dates.months, dates.weekdays"),
        (LISTS.replace('"Mo", ', ""), "dates.weekdays is not"),
        (LISTS + "[a]\nb = 1", "a.b is not"),
        (LISTS + "[a]\nb = ['x']", "a.b is not"),
        (LISTS + "[a]\nb = ' '", "a.b is empty"),
        (LISTS + "[a]\nb = '{Name}'", "a.b is empty or has a brace"),
        (LISTS + "[a]\nb = 'x { y'", "a.b is empty or has a brace"),
        (LISTS + "[a]\nb = '{x!r}'", "a.b is empty or has a brace"),
    ],
)
def test_a_file_that_is_none_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse("xx", text)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("[a]\nb = '{x} {y}'", "in: a.c"),
        ("[a]\nb = '{x} {y}'\nc = 'C'\nd = 'D'", "in: a.d"),
        ("[a]\nb = '{x}'\nc = 'C'", "in: a.b"),
        ("[a]\nb = '{x} {z}'", "in: a.c, a.b"),
    ],
)
def test_a_file_that_differs_from_the_first_is_refused(text: str, faults: str) -> None:
    first = parse("aa", LISTS + "[a]\nb = '{x} {y}'\nc = 'C'")
    with pytest.raises(ValueError, match=f"bb.toml differs from aa.toml {faults}$"):
        compare(first, parse("bb", LISTS + text))


def test_a_file_with_its_words_in_another_order_is_none_of_them() -> None:
    first = parse("aa", LISTS + "[a]\nb = '{x} {y}'\nc = 'C'")
    compare(first, parse("bb", LISTS + "[a]\nc = 'C'\nb = '{y} and {x}, {x}'"))


# --- what is filled in ---


def test_what_is_filled_in_is_not_read_again() -> None:
    said = language("en").say("summary.both", {"title": "{hosts}", "hosts": "{attendee}", "attendee": "{0.__class__}"})
    assert said == "{hosts} between {attendee} and {0.__class__}"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["A"], "A"),
        (["A", "B"], "A and B"),
        (["A", "B", "C"], "A, B and C"),
        (["A", "B", "C", "D"], "A, B, C and D"),
        (["A", "B", "C", "D", "E"], "A, B, C and 2 others"),
    ],
)
def test_names_are_listed(names: list[str], expected: str) -> None:
    assert language("en").enumerate(names) == expected


@pytest.mark.parametrize(
    ("locale", "found"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("de_CH", "de"),
        ("DE", "de"),
        ("xx", "en"),
        ("", "en"),
        ("deu", "en"),
        ("../de", "en"),
    ],
)
def test_an_unknown_language_is_the_default(locale: str, found: str) -> None:
    assert language(locale).locale == found


# --- times ---


@pytest.mark.parametrize(
    ("locale", "start", "end", "zone", "expected"),
    [
        (
            *("en", "2026-06-01T14:00", "2026-06-01T14:30", "America/New_York"),
            "Monday, 1 June 2026, 10:00 to 10:30 (America/New_York, UTC-04:00)",
        ),
        (
            *("de", "2026-03-01T14:00", "2026-03-01T14:30", "Europe/Berlin"),
            "Sonntag, 1. März 2026, 15:00 bis 15:30 Uhr (Europe/Berlin, UTC+01:00)",
        ),
        # over midnight there, not here
        (
            *("en", "2026-06-01T14:50", "2026-06-01T15:20", "Asia/Tokyo"),
            "Monday, 1 June 2026, 23:50 to Tuesday, 2 June 2026, 00:20 (Asia/Tokyo, UTC+09:00)",
        ),
        (
            *("de", "2026-06-01T14:50", "2026-06-01T15:20", "Asia/Tokyo"),
            "Montag, 1. Juni 2026, 23:50 Uhr bis Dienstag, 2. Juni 2026, 00:20 Uhr (Asia/Tokyo, UTC+09:00)",
        ),
        # the clock is put forward, and back: half an hour that looks like ninety minutes, and an hour like none
        (
            *("en", "2026-03-08T06:45", "2026-03-08T07:15", "America/New_York"),
            "Sunday, 8 March 2026, 01:45 to 03:15 (America/New_York, UTC-05:00, at the end UTC-04:00)",
        ),
        (
            *("en", "2026-10-25T00:30", "2026-10-25T01:30", "Europe/Berlin"),
            "Sunday, 25 October 2026, 02:30 to 02:30 (Europe/Berlin, UTC+02:00, at the end UTC+01:00)",
        ),
        # weeks in which one zone has changed and the other has not
        (
            *("en", "2026-03-10T14:00", "2026-03-10T14:30", "Europe/Berlin"),
            "Tuesday, 10 March 2026, 15:00 to 15:30 (Europe/Berlin, UTC+01:00)",
        ),
        (
            *("en", "2026-10-27T14:00", "2026-10-27T14:30", "America/New_York"),
            "Tuesday, 27 October 2026, 10:00 to 10:30 (America/New_York, UTC-04:00)",
        ),
        (
            *("en", "2026-06-01T14:00", "2026-06-01T14:30", "Pacific/Chatham"),
            "Tuesday, 2 June 2026, 02:45 to 03:15 (Pacific/Chatham, UTC+12:45)",
        ),
        # a zone behind UTC by less than an hour is not ahead of it, and seconds are no minutes (Liberia, until 1972)
        (
            *("en", "1971-06-01T14:00", "1971-06-01T14:30", "Africa/Monrovia"),
            "Tuesday, 1 June 1971, 13:15 to 13:45 (Africa/Monrovia, UTC-00:44)",
        ),
        *(
            ("en", "2026-06-01T14:00", "2026-06-01T14:30", gone, "Monday, 1 June 2026, 14:00 to 14:30 (UTC)")
            for gone in ("UTC", "", "Mars/Olympus", "../etc/passwd", "Europe", "x" * 5000, "a\r\nb", "\0")
        ),
        (
            *("xx", "2026-06-01T14:00", "2026-06-01T14:30", "Europe/London"),
            "Monday, 1 June 2026, 15:00 to 15:30 (Europe/London, UTC+01:00)",
        ),
    ],
)
def test_a_time_is_spelled_in_its_zone(locale: str, start: str, end: str, zone: str, expected: str) -> None:
    assert spell(locale, at(start), at(end), zone) == expected


def test_an_instant_is_spelled_in_its_zone() -> None:
    said = spell_instant("en", at("2026-06-01T14:00"), "America/New_York")
    assert said == "Monday, 1 June 2026, 10:00 (America/New_York, UTC-04:00)"
    assert spell_instant("de", at("2026-12-31T23:00"), "nowhere") == "Donnerstag, 31. Dezember 2026, 23:00 Uhr (UTC)"
