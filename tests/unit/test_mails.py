"""What a letter says to whom: the words, the details that a reader may see, the calendar part that they get."""

from dataclasses import replace
from typing import Any

import pytest

from app.domain.bookings.ical import Mailbox, Method
from app.domain.notifications.compose import compose, to_bytes
from app.domain.notifications.letters import Kind, Letter, Role
from tests.itip import ItipMessage, check_mail
from tests.unit.mail_samples import (
    ANN,
    EVERY,
    GRETA,
    SENDER,
    START,
    full,
    invitation,
    letter,
    links,
    mail,
    meeting,
    part,
)

BOB = Mailbox("Bob Stone", "bob@guest.example")


def itip(of: Letter) -> ItipMessage:
    message = check_mail(to_bytes(compose(of)))
    assert message is not None
    return message


def said(of: Letter) -> str:
    return part(of, "plain")


# --- what it is ---


@pytest.mark.parametrize(
    ("kind", "role"), [(kind, role) for kind in Kind for role in Role if (kind, role) not in EVERY]
)
def test_what_nobody_is_told_is_no_letter(kind: Kind, role: Role) -> None:
    with pytest.raises(ValueError, match="no letter"):
        compose(letter(kind, role))


@pytest.mark.parametrize(
    "kind", [Kind.WAITLIST_OFFER, Kind.PASSWORD_RESET, Kind.WEBHOOK_DISABLED, Kind.CALENDAR_REAUTH]
)
def test_a_letter_without_its_facts_is_refused(kind: Kind) -> None:
    role = next(role for each, role in EVERY if each is kind)
    with pytest.raises(KeyError):
        compose(letter(kind, role, facts={}))


@pytest.mark.parametrize("locale", ["en", "de"])
@pytest.mark.parametrize(("kind", "role"), EVERY)
def test_text_and_html_say_the_same(kind: Kind, role: Role, locale: str) -> None:
    given = full(kind, role, locale)
    seen = set(part(given, "html").replace("&#39;", "'").replace("&#34;", '"').replace("<br>", "\n").split("\n"))
    html = " ".join(seen)
    for line in said(given).replace("<", "&lt;").replace(">", "&gt;").replace("a=1&b", "a=1&amp;b").splitlines():
        for words in line.strip("- ").split(": "):
            assert words.rstrip(":") in html


@pytest.mark.parametrize(("kind", "role"), EVERY)
def test_each_link_stands_in_the_text_in_full(kind: Kind, role: Role) -> None:
    given = full(kind, role, "en")
    assert all(f"\n{url}\n" in said(given) for url in given.links.values())
    assert all(f'href="{url}"' in part(given, "html") for url in given.links.values())
    assert f"\n{given.unsubscribe}\n" in said(given)


def test_what_is_not_there_gets_no_button() -> None:
    assert "<a" not in part(letter(), "html")
    assert "https://" not in said(letter())
    assert "Confirm the booking:\nhttps://book.example/confirm/abc123\n" in said(letter(links=links("confirm")))
    assert "https://" not in said(letter(links={"unheard_of": "https://book.example/x"}))


def test_the_subject_begins_as_the_calendar_entry_is_called() -> None:
    """Exchange takes the entry's title from it."""
    invited = letter(Kind.BOOKED, meeting=meeting(method=Method.REQUEST, sequence=1))
    assert str(mail(invited)["subject"]) == itip(invited).summary
    cancelled = letter(Kind.CANCELLED, meeting=meeting(method=Method.CANCEL, sequence=1))
    assert str(mail(cancelled)["subject"]).startswith(f"{itip(cancelled).summary}: ")
    assert itip(invitation()).summary == "Intro call between Greta Gräber and Ann Lee"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"attendee": None}, "Intro call with Greta Gräber"),
        ({"hosts": ()}, "Intro call with Ann Lee"),
        ({"hosts": (), "attendee": None}, "Intro call"),
        ({"hosts": (GRETA, BOB)}, "Intro call between Greta Gräber and Bob Stone and Ann Lee"),
        ({"attendee": Mailbox("", "ann@guest.example")}, "Intro call between Greta Gräber and ann@guest.example"),
    ],
)
def test_what_a_meeting_is_called(changes: dict[str, Any], expected: str) -> None:
    assert str(mail(letter(meeting=meeting(**changes)))["subject"]) == f"{expected}: booked"


def test_a_long_title_leaves_room_for_what_happened() -> None:
    subject = str(mail(letter(Kind.CANCELLED, meeting=meeting(title="x" * 900)))["subject"])
    assert subject.endswith(": cancelled")
    assert len(subject) < 220


# --- who sees what ---


@pytest.mark.parametrize("role", [Role.ATTENDEE, Role.GUEST])
@pytest.mark.parametrize("kind", [kind for kind, role in EVERY if role is Role.GUEST and (kind, Role.HOST) in EVERY])
def test_only_hosts_see_numbers_and_answers(kind: Kind, role: Role) -> None:
    for subtype in ("plain", "html", "calendar"):
        assert "555 0100" not in part(full(kind, role, "en"), subtype)
        assert "Taxes" not in part(full(kind, role, "en"), subtype)
    assert "+1 212 555 0100" in said(full(kind, Role.HOST, "en"))
    assert "What is it about? \N{EN DASH} Taxes" in said(full(kind, Role.HOST, "en"))


def test_guests_see_names_but_no_addresses() -> None:
    given = letter(Kind.BOOKED, Role.GUEST, to=BOB, meeting=meeting(guests=(BOB, Mailbox("Eve", "eve@guest.example"))))
    assert "Ann Lee" in said(given)
    assert "ann@guest.example" not in said(given) + part(given, "html")
    assert "eve@guest.example" not in said(given) + part(given, "html")


def test_an_attendee_sees_whom_they_bring() -> None:
    assert "Guests: Bob Stone <bob@guest.example>\n" in said(letter(meeting=meeting(guests=(BOB,))))


def test_a_host_sees_the_other_hosts() -> None:
    assert "With: Bob Stone\n" in said(letter(Kind.BOOKED, Role.HOST, meeting=meeting(hosts=(GRETA, BOB))))
    assert "With:" not in said(letter(Kind.BOOKED, Role.HOST))


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (("in_person", "Main Street 1"), "Where: Main Street 1\n"),
        (("in_person", None), "Where: In person\n"),
        (("phone", "+49 30 1"), "Where: By phone: +49 30 1\n"),
        (("phone", None), "Where: By phone\n"),
        (("link", "https://meet.example/x"), "Where: https://meet.example/x\n"),
        (("link", "Zoom, as always"), "Where: Zoom, as always\n"),
        (("link", ""), "Where: Online\n"),
        (("resource", "Room 7"), "Where: Room 7\n"),
        (("unheard_of", "The moon"), "Where: The moon\n"),
    ],
)
def test_where_it_is(location: tuple[str, str | None], expected: str) -> None:
    given = invitation(location=location)
    assert expected in said(given)
    assert f"Where: {itip(given).location}\n" == expected


def test_a_place_that_nobody_knows_is_left_out() -> None:
    assert "Where" not in said(letter(meeting=meeting(location=("unheard_of", None))))
    assert "Where" not in said(letter())


# --- who did it, and why ---


@pytest.mark.parametrize(
    ("role", "by", "expected"),
    [
        (Role.ATTENDEE, "attendee", "You cancelled it."),
        (Role.HOST, "attendee", "Ann Lee cancelled it."),
        (Role.ATTENDEE, "host", "It was cancelled by Greta Gräber."),
        (Role.GUEST, "api", "It was cancelled by Acme Clinic."),
        (Role.HOST, "system", "It was cancelled automatically."),
        (Role.HOST, "calendar", "It was cancelled because its entry was deleted from the host's calendar."),
    ],
)
def test_who_cancelled(role: Role, by: str, expected: str) -> None:
    text = said(letter(Kind.CANCELLED, role, meeting=meeting(by=by, reason="A cold")))
    assert f"\n{expected}\n" in text
    assert "Reason: A cold\n" in text


def test_nobody_is_named_who_may_not_have_done_it() -> None:
    text = said(letter(Kind.CANCELLED, meeting=meeting(by="host", hosts=(GRETA, BOB))))
    assert "It was cancelled by Acme Clinic." in text
    for by in (None, "lead", "subject", "", "unheard_of"):
        assert "cancelled by" not in said(letter(Kind.CANCELLED, meeting=meeting(by=by)))


@pytest.mark.parametrize("kind", [Kind.CANCELLED, Kind.DECLINED])
@pytest.mark.parametrize("role", [Role.ATTENDEE, Role.GUEST, Role.HOST])
def test_a_request_that_nobody_answered(kind: Kind, role: Role) -> None:
    given = letter(kind, role, meeting=meeting(by="system", reason="unanswered"))
    assert str(mail(given)["subject"]).endswith(": not answered in time")
    assert "Reason" not in said(given)
    assert "automatically" not in said(given)
    # a person's own word is no sign of ours
    by_hand = letter(kind, role, meeting=meeting(by="host", reason="unanswered"))
    assert "Reason: unanswered\n" in said(by_hand)
    assert "not answered in time" not in str(mail(by_hand)["subject"])


# --- facts ---


def test_an_invitation_may_come_from_nobody() -> None:
    text = said(letter(Kind.INVITATION, Role.MEMBER, facts={"inviter": "", "days": "1"}))
    assert "You are invited to Acme Clinic, with the address greta@host.example.\n" in text
    assert "The link works for 1 day, once.\n" in text
    assert "Greta Gräber invites you" in said(letter(Kind.INVITATION, Role.MEMBER))
    assert "for 7 days, once" in said(letter(Kind.INVITATION, Role.MEMBER))


def test_an_offer_ends_at_the_readers_time() -> None:
    expected = "until Monday, 9 March 2026, 14:00 (America/New_York, UTC-04:00). It is"
    assert expected in said(letter(Kind.WAITLIST_OFFER))
    assert "until noon. It is" in said(letter(Kind.WAITLIST_OFFER, facts={"until": "noon"}))


def test_an_offer_may_know_no_more_than_a_title() -> None:
    given = letter(Kind.WAITLIST_OFFER, meeting=None, facts={"until": "noon", "title": "Yoga"})
    assert "What: Yoga\n" in said(given)
    assert str(mail(given)["subject"]) == "Acme Clinic: a place is free"


def test_a_provider_is_called_by_its_name() -> None:
    assert "Google no longer lets us" in said(letter(Kind.CALENDAR_REAUTH, Role.MEMBER))
    facts = {"account": "a@b.example", "provider": "Fastmail"}
    assert "Fastmail no longer lets us" in said(letter(Kind.CALENDAR_REAUTH, Role.MEMBER, facts=facts))


# --- the calendar part ---


def test_everybody_of_the_meeting_stands_in_the_entry_once() -> None:
    message = itip(invitation(guests=(BOB, replace(ANN, address="ANN@guest.example")), hosts=(GRETA, SENDER)))
    assert message.attendees == (ANN.address, BOB.address, GRETA.address, SENDER.address)
    assert message.names == ("Ann Lee", "Bob Stone", "Greta Gräber", "Acme Clinic")
    assert message.organizer == SENDER.address


@pytest.mark.parametrize("role", [Role.ATTENDEE, Role.GUEST, Role.HOST])
def test_who_is_removed_is_told_so_alone(role: Role) -> None:
    given = letter(Kind.REMOVED, role, meeting=meeting(guests=(BOB,), method=Method.CANCEL, sequence=1))
    assert itip(given).attendees == (given.to.address,)
    assert itip(given).status == "CANCELLED"


@pytest.mark.parametrize(
    ("kind", "method", "status"),
    [
        (Kind.BOOKED, Method.REQUEST, "CONFIRMED"),
        (Kind.EMAIL_CHANGED, Method.REQUEST, "CONFIRMED"),
        (Kind.PENDING, Method.REQUEST, "TENTATIVE"),
        (Kind.PENDING, Method.CANCEL, "CANCELLED"),
        (Kind.CANCELLED, Method.CANCEL, "CANCELLED"),
    ],
)
def test_the_entry_is_as_sure_as_the_booking(kind: Kind, method: Method, status: str) -> None:
    message = itip(letter(kind, meeting=meeting(method=method, sequence=1)))
    assert (message.method, message.status, message.sequence) == (method.value, status, 1)
    assert message.starts_at == f"{START:%Y%m%dT%H%M%SZ}"


def test_the_entry_holds_the_readers_links() -> None:
    given = replace(invitation(notes="One\ntwo", location=("phone", None)), links=links("cancel", "reschedule"))
    assert itip(given).description == (
        "One\ntwo\n\nWhere: By phone\n\nMove the booking: https://book.example/reschedule/abc123\n\n"
        "Cancel the booking: https://book.example/cancel/abc123"
    )
    assert not itip(invitation()).description
