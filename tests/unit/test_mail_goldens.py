"""Whole mails against files that people have read: each reader sees their own time, with its zone, in their language.

The files are in `mails/`: NAME.txt is the text part under its subject, NAME.html the HTML without its style. After a
change that was meant, write them anew and read the difference:

    REGOLD=1 python -m pytest tests/unit/test_mail_goldens.py && git diff tests/unit/mails
"""

import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.bookings.ical import Mailbox, Method
from app.domain.notifications.letters import Kind, Letter, Role
from tests.unit.mail_samples import GRETA, HALF_HOUR, letter, links, mail, meeting, part

FOLDER = Path(__file__).parent / "mails"
NEW_YORK, BERLIN = "America/New_York", "Europe/Berlin"
ONLINE = ("link", "https://meet.example/room?a=1&b=2")
CONTRACT = "Two things:\n- the contract\n- the <weather>"


def between(start: str, minutes: int = 30) -> dict[str, Any]:
    starts_at = datetime.fromisoformat(start).replace(tzinfo=UTC)
    return {"starts_at": starts_at, "ends_at": starts_at + timedelta(minutes=minutes)}


def to_ann(kind: Kind, *names: str, **about: Any) -> Letter:
    return letter(kind, Role.ATTENDEE, links=links(*names), meeting=meeting(**about))


def to_greta(kind: Kind, *names: str, **about: Any) -> Letter:
    return letter(kind, Role.HOST, locale="de", zone=BERLIN, links=links(*names), meeting=meeting(**about))


# New York puts its clocks forward on 8 March 2026, Berlin on 29 March; back on 1 November and 25 October.
MARCH, OCTOBER = between("2026-03-10T14:00"), between("2026-10-27T14:00")
FORWARD, BACK = between("2026-03-08T06:30", 60), between("2026-10-25T00:30", 60)
MOVED = {**MARCH, "was": tuple(between("2026-03-06T14:00").values()), "sequence": 1}
ASKED = {**MARCH, "location": ("phone", "+1 212 555 0100"), "notes": CONTRACT}

LETTERS = {
    "booked-march-attendee": to_ann(
        Kind.BOOKED, "reschedule", "cancel", "invite", **MARCH, location=ONLINE, method=Method.REQUEST, notes=CONTRACT
    ),
    "booked-march-host": to_greta(
        Kind.BOOKED,
        **MARCH,
        location=ONLINE,
        notes=CONTRACT,
        attendee_phone="+1 212 555 0100",
        answers=(("What is it about?", "Taxes"), ("Anything else?", "No,\nthank you")),
        guests=(Mailbox("Bob Stone", "bob@guest.example"), Mailbox("", "eve@guest.example")),
        method=Method.REQUEST,
    ),
    "booked-october-attendee": to_ann(Kind.BOOKED, "reschedule", "cancel", **OCTOBER, method=Method.REQUEST),
    "booked-october-host": to_greta(Kind.BOOKED, **OCTOBER, method=Method.REQUEST),
    "booked-across-the-change-attendee": to_ann(Kind.BOOKED, **FORWARD),
    "booked-across-the-change-host": to_greta(Kind.BOOKED, **BACK),
    "rescheduled-over-the-change-attendee": to_ann(Kind.RESCHEDULED, "cancel", **MOVED, by="host", reason="A cold"),
    "rescheduled-over-the-change-host": to_greta(Kind.RESCHEDULED, **MOVED, by="attendee"),
    "confirmed-over-midnight-guest": replace(
        letter(Kind.CONFIRMED, Role.GUEST, zone="Asia/Tokyo", meeting=meeting(**between("2026-03-10T14:50"))),
        to=Mailbox("Bob Stone", "bob@guest.example"),
    ),
    "pending-attendee": to_ann(Kind.PENDING, "cancel", **ASKED),
    "pending-host": to_greta(Kind.PENDING, "confirm", "decline", **ASKED),
    "pending-member": letter(
        Kind.PENDING,
        Role.MEMBER,
        zone=BERLIN,
        links=links("confirm", "decline"),
        meeting=meeting(**MARCH, title="Desk 7", hosts=(), attendee=GRETA, notes=CONTRACT),
    ),
    "unanswered-attendee": to_ann(Kind.CANCELLED, **MARCH, by="system", reason="unanswered"),
    "cancelled-attendee": to_ann(Kind.CANCELLED, **MARCH, by="calendar", method=Method.CANCEL, sequence=2),
    "withdrawn-attendee": to_ann(Kind.WITHDRAWN, **MARCH, by="api", method=Method.CANCEL),
    "withdrawn-host": to_greta(Kind.WITHDRAWN, **MARCH, by="attendee", reason="A cold", method=Method.CANCEL),
    "cancelled-host": to_greta(Kind.CANCELLED, **MARCH, by="attendee", reason="A cold", method=Method.CANCEL),
    "reminder-attendee": replace(
        to_ann(Kind.REMINDER, "reschedule", "cancel", **MARCH), unsubscribe="https://book.example/stop/abc123"
    ),
    "removed-attendee": to_ann(Kind.REMOVED, **MARCH, attendee=Mailbox("Cy New", "cy@new.example")),
    "waitlist-offer-attendee": replace(letter(Kind.WAITLIST_OFFER, locale="de", zone=BERLIN), links=links("offer")),
    "invitation-member": letter(Kind.INVITATION, Role.MEMBER, links=links("accept")),
    "password-reset-member": letter(Kind.PASSWORD_RESET, Role.MEMBER, links=links("reset"), locale="de"),
    "webhook-disabled-member": letter(Kind.WEBHOOK_DISABLED, Role.MEMBER, links=links("settings")),
    "calendar-reauth-member": letter(Kind.CALENDAR_REAUTH, Role.MEMBER, links=links("settings"), locale="de"),
}


def plain(of: Letter) -> str:
    return f"Subject: {mail(of)['subject']}\n\n{part(of, 'plain')}"


def unstyled(of: Letter) -> str:
    """Without what only changes how it looks, a tag a line."""
    text = re.sub(r"<style>.*?</style>", "", part(of, "html"), flags=re.DOTALL)
    text = re.sub(r' (?:style|class|width|cellpadding|cellspacing|border|align)="[^"]*"', "", text)
    return re.sub(r"\n{2,}", "\n", text)


@pytest.mark.parametrize("suffix", ["txt", "html"])
@pytest.mark.parametrize("name", LETTERS)
def test_a_mail_is_what_people_have_read(name: str, suffix: str) -> None:
    of = LETTERS[name]
    found = plain(of) if suffix == "txt" else unstyled(of)
    path = FOLDER / f"{name}.{suffix}"
    if os.environ.get("REGOLD"):
        path.write_text(found, "utf-8")
    assert found == path.read_text("utf-8")


def test_no_file_is_left_over() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {
        f"{name}.{suffix}" for name in LETTERS for suffix in ("txt", "html")
    }


def test_both_sides_of_a_meeting_read_their_own_time() -> None:
    """Named here too, so that no careless new golden file loses it."""
    expected = {
        "booked-march-attendee": "When: Tuesday, 10 March 2026, 10:00 to 10:30 (America/New_York, UTC-04:00)\n",
        "booked-march-host": "Wann: Dienstag, 10. März 2026, 15:00 bis 15:30 Uhr (Europe/Berlin, UTC+01:00)\n",
        "booked-october-attendee": "When: Tuesday, 27 October 2026, 10:00 to 10:30 (America/New_York, UTC-04:00)\n",
        "booked-october-host": "Wann: Dienstag, 27. Oktober 2026, 15:00 bis 15:30 Uhr (Europe/Berlin, UTC+01:00)\n",
        "rescheduled-over-the-change-attendee": (
            "When: Tuesday, 10 March 2026, 10:00 to 10:30 (America/New_York, UTC-04:00)\n"
            "Before: Friday, 6 March 2026, 09:00 to 09:30 (America/New_York, UTC-05:00)\n"
        ),
        "booked-across-the-change-attendee": (
            "When: Sunday, 8 March 2026, 01:30 to 03:30 (America/New_York, UTC-05:00, at the end UTC-04:00)\n"
        ),
        "booked-across-the-change-host": (
            "Wann: Sonntag, 25. Oktober 2026, 02:30 bis 02:30 Uhr (Europe/Berlin, UTC+02:00, am Ende UTC+01:00)\n"
        ),
    }
    for name, line in expected.items():
        assert line in plain(LETTERS[name])


def test_a_removed_address_reads_nothing_of_the_new_one() -> None:
    removed = replace(meeting(), attendee=Mailbox("Cy New", "cy@new.example"), method=Method.CANCEL, sequence=1)
    of = letter(Kind.REMOVED, meeting=replace(removed, ends_at=removed.starts_at + HALF_HOUR, hosts=(GRETA,)))
    for text in (plain(of), part(of, "html"), part(of, "calendar"), str(mail(of).items())):
        assert not re.search("cy@new|Cy New|new.example", text)
