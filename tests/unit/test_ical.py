"""Calendars as bytes: RFC 5545 whatever is written in them, and the same bytes for the same booking."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import icalendar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.bookings.ical import Entry, Mailbox, Method, calendar_of, is_tentative
from app.domain.bookings.lifecycle import Status
from tests.itip import ItipMessage, check_file, unescaped
from tests.unit.test_mail_injection import HOSTILE

NOW = datetime(2026, 2, 20, 9, 30, 15, 123456, tzinfo=UTC)
START = datetime(2026, 3, 10, 14, tzinfo=UTC)
GRETA, ANN = Mailbox("Greta Gräber", "greta@host.example"), Mailbox("Ann Lee", "ann@guest.example")

texts = st.lists(st.sampled_from(HOSTILE[:-1]) | st.text(max_size=40), min_size=1, max_size=3).map(" ".join)


def entry(**changes: Any) -> Entry:
    given: dict[str, Any] = {
        "uid": "0198c0de@slotwire",
        "sequence": 1,
        "starts_at": START,
        "ends_at": START + timedelta(minutes=30),
        "summary": "Intro call",
        "description": "",
        "location": "",
        "organizer": GRETA,
        "attendees": (ANN,),
        "tentative": False,
        "cancelled": False,
        "created_at": NOW - timedelta(days=1),
        "updated_at": NOW - timedelta(hours=1),
    }
    return Entry(**{**given, **changes})


def one_line(text: str) -> str:
    return " ".join(re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).split()).replace("\\N", "/N")


def sent(method: Method, of: Entry) -> ItipMessage:
    return check_file(calendar_of(method, [replace(of, cancelled=method is Method.CANCEL)], now=NOW))


@pytest.mark.parametrize("method", Method)
@settings(deadline=None)
@given(summary=texts, description=texts, location=texts, name=texts, title=texts)
def test_a_calendar_is_one_whatever_is_written_in_it(
    method: Method, summary: str, description: str, location: str, name: str, title: str
) -> None:
    person = Mailbox(name, "ann@guest.example")
    of = entry(summary=summary, description=description, location=location, organizer=person, attendees=(person,))
    message = sent(method, of)
    assert message.method == method.value
    assert message.attendees == (() if method is Method.PUBLISH else ("ann@guest.example",))
    # the library that others read it with finds the same
    content = calendar_of(method, [replace(of, cancelled=method is Method.CANCEL)], name=title, now=NOW)
    called = check_file(content).calendar
    assert {unescaped(called.value(each, "VCALENDAR")) for each in ("NAME", "X-WR-CALNAME")} == {one_line(title)}
    read = icalendar.Calendar.from_ical(content)
    (event,) = read.walk("VEVENT")
    assert not event.errors
    assert str(event["summary"]) == message.summary
    assert str(event.get("description", "")) == message.description
    assert event["organizer"] == "mailto:ann@guest.example"
    assert isinstance(event, icalendar.Event)
    assert event.DTSTART == START


@given(text=st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=300))
@settings(deadline=None)
def test_a_text_is_kept(text: str) -> None:
    message = sent(Method.REQUEST, entry(summary=text, description=f"{text}\n\n{text}", location=text))
    text = text.replace("\\N", "/N")
    assert (message.summary, message.location) == (text, text)
    assert message.description == f"{text}\n\n{text}"


@pytest.mark.parametrize(
    "bad", ["a@b.example\r\nATTENDEE:mailto:eve@bad.example", "a@b.example\n X", "x\u2028y", "x\0y"]
)
def test_no_field_begins_another_line(bad: str) -> None:
    """An address, an identity and a link are ours or checked; a mistake there is no hole here."""
    wrong = Mailbox("Eve", bad)
    for of in (
        entry(uid=bad),
        entry(url=f"https://book.example/{bad}"),
        entry(organizer=wrong),
        entry(attendees=(wrong,)),
        entry(organizer=Mailbox(bad, "a@b.example"), attendees=(Mailbox(bad, "a@b.example"),)),
    ):
        content = calendar_of(Method.REQUEST, [of], now=NOW)
        lines = content.decode().replace("\r\n ", "").split("\r\n")
        names = [line.split(":")[0].split(";")[0] for line in lines]
        assert names.count("ATTENDEE") == 1
        assert not {name for name in names if name != name.upper()}
        assert not any(line.startswith(("ATTENDEE:mailto:eve", "X")) for line in lines)
        assert not any(each in content for each in (b"\0", "\u2028".encode()))


@pytest.mark.parametrize("status", Status)
def test_what_nobody_has_confirmed_is_tentative(status: Status) -> None:
    assert is_tentative(status) == (status in {Status.DRAFT, Status.PENDING_CONFIRMATION})


@pytest.mark.parametrize(
    ("tentative", "cancelled", "expected"),
    [(False, False, "CONFIRMED"), (True, False, "TENTATIVE"), (False, True, "CANCELLED"), (True, True, "CANCELLED")],
)
def test_an_entry_says_how_sure_it_is(tentative: bool, cancelled: bool, expected: str) -> None:
    content = calendar_of(Method.PUBLISH, [entry(tentative=tentative, cancelled=cancelled)], now=NOW)
    assert check_file(content).status == expected


def test_a_path_is_no_line_break() -> None:
    """The library would write `C:\\New` as a `C:` and a line that begins with ew."""
    of = entry(
        summary="C:\\New", description="C:\\New\\net", location="C:\\New", attendees=(Mailbox("\\N", "a@b.example"),)
    )
    message = sent(Method.REQUEST, of)
    assert (message.summary, message.description, message.location) == ("C:/New", "C:/New\\net", "C:/New")
    assert message.names == ("/N",)


def test_times_are_in_utc_to_the_second() -> None:
    chatham = datetime(2026, 3, 10, 15, 0, 0, 999999, tzinfo=timezone(timedelta(hours=12, minutes=45)))
    message = sent(Method.REQUEST, entry(starts_at=chatham, ends_at=chatham + timedelta(minutes=30)))
    assert (message.starts_at, message.ends_at) == ("20260310T021500Z", "20260310T024500Z")
    assert message.dtstamp == NOW.replace(microsecond=0)


def test_what_is_published_is_the_same_bytes_until_it_changes() -> None:
    first = calendar_of(Method.PUBLISH, [entry()], now=NOW)
    assert calendar_of(Method.PUBLISH, [entry()], now=NOW + timedelta(days=1)) == first
    assert check_file(first).dtstamp == (NOW - timedelta(hours=1)).replace(microsecond=0)
    assert calendar_of(Method.PUBLISH, [entry(updated_at=NOW)], now=NOW) != first


def test_a_feed_holds_many_entries_and_its_name() -> None:
    content = calendar_of(
        Method.PUBLISH, [entry(uid="a@slotwire"), entry(uid="b@slotwire")], name="Greta, at work", now=NOW
    ).decode()
    assert content.count("BEGIN:VEVENT\r\n") == content.count("END:VEVENT\r\n") == 2
    assert "\r\nNAME:Greta\\, at work\r\n" in content
    assert "\r\nX-WR-CALNAME:Greta\\, at work\r\n" in content
    assert "ATTENDEE" not in content


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ('Ann "Q" Lee; x=y:z', "Ann 'Q' Lee; x=y:z"),
        ("Ann\\", "Ann/"),
        ("Ann ^ Lee^n", "Ann ^ Lee^n"),
        (" \r\n", "ann@guest.example"),
        ("Zoë, 李", "Zoë, 李"),
    ],
)
def test_no_name_ends_its_parameter(name: str, expected: str) -> None:
    person = Mailbox(name, "ann@guest.example")
    assert sent(Method.REQUEST, entry(attendees=(person,))).names == (expected,)
    content = calendar_of(Method.REQUEST, [entry(organizer=person, attendees=(person,))], now=NOW)
    (event,) = icalendar.Calendar.from_ical(content).walk("VEVENT")
    assert event["organizer"] == event["attendee"] == "mailto:ann@guest.example"
