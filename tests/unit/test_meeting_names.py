"""What a meeting is called: one rule, for the subjects of mails and for every calendar."""

from collections.abc import Sequence

import pytest

from app.domain.bookings.ical import Mailbox
from app.domain.bookings.lifecycle import Status
from app.domain.feeds.entries import Published, feed_entry, invite_entry
from app.domain.notifications.language import LOCALES, language
from app.domain.notifications.wording import name_meeting, words_of
from tests.unit.mail_samples import ANN, SENDER, SENT, START, letter, meeting

LONG = "x" * 300


@pytest.mark.parametrize(
    ("hosts", "attendee", "name"),
    [
        (["Ann"], "Jane", "Call between Ann and Jane"),
        (["Ann", "Bo"], "Jane", "Call between Ann and Bo and Jane"),
        (["Ann"], "", "Call with Ann"),
        ([], "Jane", "Call with Jane"),
        ([], "", "Call"),
    ],
)
def test_it_names_who_meets(hosts: Sequence[str], attendee: str, name: str) -> None:
    assert name_meeting(language("en"), "Call", hosts, attendee) == name


def test_it_stays_on_one_short_line() -> None:
    name = name_meeting(language("en"), f"a\r\nb{LONG}", [LONG] * 9, LONG)
    assert "\n" not in name
    assert len(name) <= 200


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("title", ["Intro call", "{hosts} {0}", f"Talk\r\n{LONG}"])
@pytest.mark.parametrize("hosts", [(), ("Greta",), ("A", "B", "C", "D", "E"), (LONG, "b\nc")])
@pytest.mark.parametrize("attendee", [None, "Ann Lee", LONG])
def test_mails_and_calendars_call_it_the_same(
    locale: str, title: str, hosts: tuple[str, ...], attendee: str | None
) -> None:
    who = Mailbox(attendee, ANN.address) if attendee else None
    people = tuple(Mailbox(host, f"h{number}@host.example") for number, host in enumerate(hosts))
    mailed = words_of(letter(locale=locale, meeting=meeting(title=title, hosts=people, attendee=who)))
    shown = booking(title, hosts, attendee, locale)
    assert feed_entry(shown, locale, SENDER.address).summary == mailed.about
    assert invite_entry(shown, SENDER.address).summary == mailed.about


def booking(title: str, hosts: Sequence[str], attendee: str | None, locale: str) -> Published:
    return Published(
        ical_uid="uid@slotwire",
        ical_sequence=0,
        status=Status.SCHEDULED,
        starts_at=START,
        ends_at=START,
        title=title,
        location=None,
        notes=None,
        attendee_name=attendee,
        attendee_email=ANN.address if attendee else None,
        attendee_phone=None,
        guests=[],
        created_at=SENT,
        updated_at=SENT,
        org_name="Acme Clinic",
        sender_name=None,
        locale=locale,
        hosts=list(hosts),
        organizer=None,
    )
