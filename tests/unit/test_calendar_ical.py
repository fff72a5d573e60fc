"""What a calendar object takes of its owner's time, and how ours are changed."""

import warnings
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from icalendar import Calendar
from icalendar.timezone import tzp

from app.domain.calendars.ical import Reader, mark_of
from app.domain.calendars.ical_objects import edited, new_object
from app.domain.calendars.provider import FIELDS, Block, Draft, Person, RemoteEvent, Window
from app.domain.calendars.zones import iana

NINE = datetime(2026, 6, 3, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MARK = UUID("018f0000-0000-7000-8000-00000000abcd")
READER = Reader(Window(NINE - DAY, NINE + 365 * DAY, "Europe/Berlin"), frozenset({"ada@example.com"}))
HOURS = ("DTSTART:20260603T090000Z", "DTEND:20260603T100000Z")
# a zone of somebody's own, seven hours ahead of UTC all year
OWN_ZONE = """BEGIN:VTIMEZONE
TZID:Customized Time Zone
BEGIN:STANDARD
DTSTART:16010101T000000
TZOFFSETFROM:+0700
TZOFFSETTO:+0700
END:STANDARD
END:VTIMEZONE
"""


def text_of(*events: tuple[str, ...], before: str = "") -> str:
    inside = "".join(f"BEGIN:VEVENT\nUID:one\nDTSTAMP:20260101T000000Z\n{_joined(each)}END:VEVENT\n" for each in events)
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//\n{before}{inside}END:VCALENDAR\n".replace("\n", "\r\n")


def _joined(lines: tuple[str, ...]) -> str:
    return "".join(f"{line}\n" for line in lines)


def read(*events: tuple[str, ...], before: str = "") -> RemoteEvent:
    return READER.read("/cal/one.ics", '"1"', text_of(*events, before=before))


def starts(event: RemoteEvent) -> list[str]:
    return [block.starts_at.strftime("%m-%d %H:%M") for block in event.blocks]


def test_an_event_takes_its_time() -> None:
    event = read((*HOURS, "LAST-MODIFIED:20260501T000000Z"))
    assert event == RemoteEvent(
        remote_id="/cal/one.ics",
        etag='"1"',
        mark=None,
        starts_at=NINE,
        ends_at=NINE + HOUR,
        all_day=False,
        deleted=False,
        blocks=(Block(NINE, NINE + HOUR),),
        changed_at=datetime(2026, 5, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("lines", "free", "tentative"),
    [
        (["TRANSP:TRANSPARENT"], True, False),
        (["TRANSP:OPAQUE"], False, False),
        (["STATUS:TENTATIVE"], False, True),
        (["STATUS:CANCELLED"], True, False),
        (["X-MICROSOFT-CDO-BUSYSTATUS:FREE"], True, False),
        (["X-MICROSOFT-CDO-BUSYSTATUS:WORKINGELSEWHERE"], True, False),
        (["X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE"], False, True),
        (["X-MICROSOFT-CDO-BUSYSTATUS:OOF"], False, False),
        (["ATTENDEE;PARTSTAT=DECLINED:mailto:Ada@Example.com"], True, False),
        (["ATTENDEE;PARTSTAT=TENTATIVE:mailto:ada@example.com"], False, True),
        (["ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:ada@example.com"], False, False),
        (["ATTENDEE;PARTSTAT=DECLINED:mailto:bob@example.com", "ATTENDEE:mailto:ada@example.com"], False, False),
        (["DTEND:20260603T090000Z"], True, False),
        (["DTEND:20260603T080000Z"], True, False),
    ],
)
def test_what_takes_time_and_what_does_not(lines: list[str], free: bool, tentative: bool) -> None:
    given = HOURS[:1] if lines[0].startswith("DTEND") else HOURS
    event = read((*given, *lines))
    assert event.blocks == (() if free else (Block(event.starts_at or NINE, NINE + HOUR, tentative),))
    assert event.deleted is (lines == ["STATUS:CANCELLED"])


@pytest.mark.parametrize(
    ("named", "hour"),
    [
        ("Europe/Berlin", 7),
        ("W. Europe Standard Time", 7),
        ("Pacific Standard Time", 16),
        ("/freeassociation.sourceforge.net/America/New_York", 13),
        ('"Asia/Kolkata"', 3),
        ("US/Eastern", 13),
        # nobody knows it, and it is not described: as a time without a zone
        ("Nowhere/At All", 7),
        ("/vendor/EST", 7),
    ],
)
def test_zones_by_any_name(named: str, hour: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        event = read((f"DTSTART;TZID={named}:20260603T090000", "DURATION:PT30M"))
    assert event.starts_at is not None
    assert (event.starts_at.hour, event.blocks[0].ends_at - event.blocks[0].starts_at) == (hour, HOUR / 2)


def test_a_zone_of_ones_own_counts_for_one_object() -> None:
    lines = ("DTSTART;TZID=Customized Time Zone:20260603T090000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3")
    assert starts(read(lines, before=OWN_ZONE)) == ["06-03 02:00", "06-04 02:00", "06-05 02:00"]
    assert tzp.timezone("Customized Time Zone") is None, "the library would give it to everybody"
    assert starts(read(lines)) == ["06-03 07:00", "06-04 07:00", "06-05 07:00"]
    named = OWN_ZONE.replace("BEGIN:STANDARD", "X-LIC-LOCATION:Asia/Tokyo\nBEGIN:STANDARD")
    assert starts(read(lines, before=named))[0] == "06-03 00:00"


def test_a_described_zone_of_a_known_name_is_the_known_one() -> None:
    lied = OWN_ZONE.replace("Customized Time Zone", "Europe/Berlin")
    assert starts(read(("DTSTART;TZID=Europe/Berlin:20260603T090000", "DURATION:PT1H"), before=lied)) == ["06-03 07:00"]


def test_times_without_a_zone_and_days_are_in_the_calendars_zone() -> None:
    assert starts(read(("DTSTART:20260603T090000", "DTEND:20260603T100000"))) == ["06-03 07:00"]
    days = read(("DTSTART;VALUE=DATE:20261024", "DTEND;VALUE=DATE:20261026"))
    # over the night in which the clocks go back
    expected = Block(datetime(2026, 10, 23, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC))
    assert (days.blocks, days.all_day) == ((expected,), True)
    for lines in (("DTSTART;VALUE=DATE:20260604",), ("DTSTART;VALUE=DATE:20260604", "DTEND;VALUE=DATE:20260604")):
        (block,) = read(lines).blocks
        assert block.ends_at - block.starts_at == DAY


def test_an_all_day_series_of_several_days_keeps_its_last() -> None:
    event = read(("DTSTART;VALUE=DATE:20260605", "DTEND;VALUE=DATE:20260608", "RRULE:FREQ=WEEKLY;COUNT=2"))
    assert [(block.ends_at - block.starts_at) / DAY for block in event.blocks] == [3, 3]
    assert starts(event) == ["06-04 22:00", "06-11 22:00"]


def test_a_series_with_exceptions() -> None:
    zone = "TZID=Europe/Berlin"
    master = (
        f"DTSTART;{zone}:20260603T090000",
        "DURATION:PT1H",
        "RRULE:FREQ=DAILY;COUNT=5",
        f"EXDATE;{zone}:20260604T090000",
    )
    moved = (f"RECURRENCE-ID;{zone}:20260605T090000", f"DTSTART;{zone}:20260605T150000", "DURATION:PT2H")
    free = ("RECURRENCE-ID:20260606T070000Z", f"DTSTART;{zone}:20260606T090000", "DURATION:PT1H", "TRANSP:TRANSPARENT")
    event = read(moved, master, free)
    assert starts(event) == ["06-03 07:00", "06-05 13:00", "06-07 07:00"]
    assert (event.starts_at, event.ends_at, event.deleted) == (None, None, False)


def test_a_series_keeps_its_hour_when_the_clocks_change() -> None:
    event = read(("DTSTART;TZID=Europe/Berlin:20251020T090000", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;BYDAY=MO"))
    assert {block.starts_at.hour for block in event.blocks} == {7, 8}
    assert len(event.blocks) == 52


def test_only_the_window_is_read() -> None:
    event = read(("DTSTART:20000101T090000Z", "DTEND:20000101T100000Z", "RRULE:FREQ=DAILY"))
    assert len(event.blocks) == 366
    assert read(("DTSTART:20200101T090000Z", "DTEND:20200101T100000Z")).blocks == ()


def test_one_occurrence_alone_is_an_event() -> None:
    event = read(("RECURRENCE-ID:20260603T080000Z", *HOURS))
    assert (event.starts_at, starts(event)) == (NINE, ["06-03 09:00"])


@pytest.mark.parametrize(
    "rule", ["FREQ=SECONDLY", "FREQ=MINUTELY;COUNT=100000000", "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30"]
)
def test_a_rule_by_the_second_is_not_counted_out(rule: str) -> None:
    event = read((*HOURS, f"RRULE:{rule}"))
    assert event.blocks == (Block(NINE, READER.window.ends_at),)
    event = read((*HOURS, f"RRULE:{rule.partition(';')[0]};UNTIL=20260603T120000Z"))
    assert event.blocks == (Block(NINE, NINE + 4 * HOUR),), "the last one begins at its end"


MANY = f"BYHOUR={','.join(map(str, range(24)))};BYMINUTE={','.join(map(str, range(60)))}"


@pytest.mark.parametrize(
    ("rule", "ends"),
    [
        ("FREQ=DAILY;INTERVAL=0", READER.window.ends_at),
        ("FREQ=YEARLY;INTERVAL=-1", READER.window.ends_at),
        (f"FREQ=DAILY;{MANY}", READER.window.ends_at),
        (f"FREQ=DAILY;{MANY};COUNT=10", NINE + 10 * DAY + HOUR),
        (f"FREQ=DAILY;{MANY};UNTIL=20260610", datetime(2026, 6, 10, 23, tzinfo=UTC)),
        ("FREQ=MINUTELY;COUNT=1440", NINE + DAY + HOUR),
        ("FREQ=SECONDLY;UNTIL=20260604", datetime(2026, 6, 4, 23, tzinfo=UTC)),
        ("FREQ=HOURLY;BYDAY=MO;COUNT=3", READER.window.ends_at),
    ],
)
def test_what_is_too_much_is_taken_from_its_first_to_its_last(rule: str, ends: datetime) -> None:
    event = read((*HOURS, f"RRULE:{rule}"))
    assert event.blocks == (Block(NINE, ends),)
    days = read(("DTSTART;VALUE=DATE:20260604", f"RRULE:{rule}"))
    assert (days.blocks[0].starts_at, len(days.blocks)) == (datetime(2026, 6, 3, 22, tzinfo=UTC), 1)


@pytest.mark.parametrize(
    ("rule", "count"),
    [
        ("FREQ=HOURLY;COUNT=3", 3),
        ("FREQ=MINUTELY;INTERVAL=90;COUNT=4", 4),
        ("FREQ=DAILY;BYHOUR=9,13;COUNT=5", 5),
        ("FREQ=DAILY;UNTIL=20260605", 3),
        ("FREQ=DAILY;COUNT=2;UNTIL=99991231", 2),
        # no such day: its first remains
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", 1),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=MO", 1),
        ("FREQ=WEEKLY;BYDAY=MO;BYSETPOS=3", 1),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", 1),
        ("FREQ=YEARLY;BYDAY=1MO;BYMONTH=7", 2),
    ],
)
def test_rules_are_counted_out_where_that_ends_soon(rule: str, count: int) -> None:
    event = read((*HOURS, f"RRULE:{rule}"))
    assert len(event.blocks) == count
    assert {block.ends_at - block.starts_at for block in event.blocks} == {HOUR}


def test_a_series_of_centuries() -> None:
    # some programs put birthdays without a year into 1604
    assert starts(read(("DTSTART;VALUE=DATE:16040610", "RRULE:FREQ=YEARLY"))) == ["06-09 22:00"]
    long_ago = read(("DTSTART:00010102T000000Z", "DURATION:PT1M", "RRULE:FREQ=DAILY"))
    assert [block.ends_at for block in long_ago.blocks] == [READER.window.ends_at]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        text_of(),
        text_of(("DTSTART:never",)),
        text_of(("SUMMARY:no start",)),
        text_of((*HOURS, "RRULE:FREQ=SOMETIMES")),
        text_of((*HOURS, "EXDATE:never", "RRULE:FREQ=DAILY")),
        text_of(("DTSTART:99991231T235959Z", "DURATION:P9999D")),
        text_of(HOURS, before="BEGIN:VTIMEZONE\nTZID:x\nEND:VTIMEZONE\n"),
        text_of(HOURS, before="BEGIN:VTIMEZONE\n" * 20_000),
    ],
)
def test_what_cannot_be_read_is_not_gone(text: str) -> None:
    event = READER.read("/cal/one.ics", None, text)
    assert not event.deleted


@pytest.mark.parametrize(
    ("lines", "ends"),
    [
        (["DTEND:20260603T100000Z", "DTEND:20260603T120000Z"], NINE + 3 * HOUR),
        (["DTEND:never"], NINE + DAY),
        (["DURATION:ages"], NINE + DAY),
        (["DURATION:P99999999999W"], NINE + DAY),
        (["DTEND;VALUE=DATE:20260605"], datetime(2026, 6, 4, 22, tzinfo=UTC)),
    ],
)
def test_an_end_that_nobody_can_read_is_no_free_time(lines: list[str], ends: datetime) -> None:
    assert read((HOURS[0], *lines)).blocks == (Block(NINE, ends),)


def test_of_a_broken_object_its_lines_count() -> None:
    reader = Reader(READER.window, READER.addresses)
    whole = text_of((*HOURS, "RRULE:FREQ=DAILY;COUNT=2", "STATUS:CANCELLED", "SUMMARY:x"))
    cut = reader.read("cut.ics", None, whole.partition("SUMMARY")[0])
    assert (starts(cut), cut.deleted, cut.mark) == (["06-03 09:00", "06-04 09:00"], False, None)
    assert reader.read("none.ics", None, text_of(("SUMMARY:no start",))).blocks == ()
    assert reader.read("page.ics", None, "<html>").blocks == ()
    assert reader.unread == ["cut.ics", "none.ics", "page.ics"]
    # a zone of no rules is none
    broken = "BEGIN:VTIMEZONE\nTZID:x\nEND:VTIMEZONE\n"
    assert starts(read(("DTSTART;TZID=x:20260603T090000", "DURATION:PT1H"), before=broken)) == ["06-03 07:00"]


def test_a_rule_that_nobody_understands_leaves_what_is_written_out() -> None:
    assert starts(read((*HOURS, "RRULE:FREQ=SOMETIMES"))) == ["06-03 09:00"]


def test_windows_and_other_names() -> None:
    assert iana("w. europe standard time") == "Europe/Berlin"
    assert iana("/x/y/America/Argentina/Buenos_Aires") == "America/Argentina/Buenos_Aires"
    assert iana("../../etc/passwd") is None


# Ours.


def draft(**changes: Any) -> Draft:
    given: dict[str, Any] = {
        "uid": "bkg_1@slotwire.test",
        "sequence": 0,
        "summary": "Intro, with; Grace",
        "description": "Booked by Grace\n\nRoom C:\\New",
        "location": "Room 1",
        "starts_at": NINE,
        "ends_at": NINE + HOUR,
        "timezone": "Europe/Berlin",
        "conference": False,
        "organizer": Person("Ada", "ada@example.com"),
        "attendees": (Person('Grace "G" H', "grace@example.com"),),
    }
    return Draft(**{**given, **changes})


def entry(content: bytes) -> Any:
    (event,) = Calendar.from_ical(content).walk("VEVENT")
    return event


def test_ours_says_what_the_draft_says_and_invites_nobody() -> None:
    content = new_object(MARK, draft(), NINE - DAY)
    event = entry(content)
    assert b"METHOD" not in content, "RFC 4791, section 4.1"
    assert (event["UID"], event["SUMMARY"], event["LOCATION"]) == (
        "bkg_1@slotwire.test",
        "Intro, with; Grace",
        "Room 1",
    )
    assert {event[name].params["SCHEDULE-AGENT"] for name in ("ORGANIZER", "ATTENDEE")} == {"CLIENT"}
    read_back = READER.read("x", None, content.decode())
    assert (read_back.mark, read_back.starts_at, read_back.ends_at) == (MARK, NINE, NINE + HOUR)
    assert mark_of(event) == MARK


def test_a_copy_of_ours_is_nobodys() -> None:
    copy = new_object(MARK, draft(), NINE).replace(b"\nUID:bkg_1", b"\nUID:other")
    assert READER.read("x", None, copy.decode()).mark is None


THEIRS = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Other//EN\r\nX-WR-CALNAME:caf\u00e9\r\nBEGIN:VEVENT\r\n"
    "UID:bkg_1@slotwire.test\r\nSUMMARY:Their \r\n own words\r\nDTSTART;TZID=Europe/Berlin:20260603T110000\r\n"
    "DURATION:PT1H\r\nSEQUENCE:7\r\nORGANIZER:mailto:boss@example.com\r\nATTENDEE:mailto:friend@example.com\r\n"
    "ATTENDEE;SCHEDULE-AGENT=CLIENT;CN=Old:mailto\r\n :old@example.com\r\nX-APPLE-TRAVEL;VALUE=DURATION:PT30M\r\n"
    "BEGIN:VALARM\r\nTRIGGER:-PT15M\r\nDURATION:PT5M\r\nDESCRIPTION:Ring\r\nACTION:DISPLAY\r\nEND:VALARM\r\n"
    "END:VEVENT\r\nEND:VCALENDAR\r\n"
)


def test_a_change_leaves_every_other_line_alone() -> None:
    later = draft(starts_at=NINE + DAY, ends_at=NINE + DAY + HOUR, sequence=2)
    after = edited(THEIRS, later, frozenset({"starts_at", "ends_at"}), NINE).decode()
    gone = {line for line in THEIRS.splitlines() if line not in after.splitlines()}
    assert gone == {"DTSTART;TZID=Europe/Berlin:20260603T110000", "DURATION:PT1H"}
    assert "SUMMARY:Their \r\n own words\r\n" in after
    event = entry(after.encode())
    assert (event["DTSTART"].dt, event["DTEND"].dt, event["SEQUENCE"]) == (NINE + DAY, NINE + DAY + HOUR, 7)
    assert event["ORGANIZER"] == "mailto:boss@example.com"


def test_odd_bytes_and_line_ends_stay_as_they_are() -> None:
    odd = THEIRS.replace("Their \r\n own words", "a\rb\udce9").replace("X-APPLE", "X-A;N=\tT")
    after = edited(odd, draft(), frozenset({"location"}), NINE).decode("utf-8", "surrogateescape")
    assert "SUMMARY:a\rb\udce9\r\n" in after
    assert set(odd.splitlines()) - set(after.splitlines()) == set()


def test_only_our_attendees_are_replaced() -> None:
    event = entry(edited(THEIRS, draft(), frozenset({"attendees"}), NINE))
    assert sorted(map(str, event["ATTENDEE"])) == ["mailto:friend@example.com", "mailto:grace@example.com"]


def test_a_change_of_everything_and_of_the_series_not_its_exception() -> None:
    exception = "BEGIN:VEVENT\r\nUID:a\r\nRECURRENCE-ID:20260604T090000Z\r\nSUMMARY:One\r\nEND:VEVENT\r\n"
    text = THEIRS.replace("BEGIN:VEVENT\r\n", exception + "BEGIN:VEVENT\r\n", 1)
    after = edited(text, draft(description=""), frozenset(FIELDS), NINE).decode()
    assert exception in after
    assert "Their" not in after
    assert "DESCRIPTION:Ring" in after, "the alarm's"
    with pytest.raises(ValueError, match="no event"):
        edited("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", draft(), frozenset(FIELDS), NINE)
