"""Header fields as they travel: ASCII, folded, one each, and what they say is what was meant."""

import re
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from email.utils import parseaddr
from typing import cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.bookings.ical import Mailbox
from app.domain.notifications import headers
from app.domain.notifications.compose import compose, to_bytes
from app.domain.notifications.letters import Kind, Role
from app.domain.notifications.plain import one_line
from tests.unit.mail_samples import ANN, GRETA, SENDER, invitation, letter, mail, meeting

LONGEST = f"{'l' * 64}@{'d' * 60}.{'e' * 60}.{'f' * 60}.example"
STOP = "https://book.example/stop/abc"


def received(name: str, value: str) -> EmailMessage:
    message = message_from_bytes(f"{name}: {value}\r\n\r\n".encode("ascii"), policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert message.keys() == [name]
    return message


def read_mailbox(of: Mailbox) -> tuple[str, str]:
    value = headers.mailbox(of)
    assert len(cast("AddressHeader", received("To", value)["to"]).addresses) == 1
    # The older of the library's two parsers: the newer one, here in 3.11, leaves the space between encoded words.
    name, address = parseaddr(value.replace("\r\n", ""))
    local, _, domain = address.rpartition("@")
    return str(make_header(decode_header(name))), f"{local.strip(chr(34))}@{domain}"


@pytest.mark.parametrize(
    "name",
    [
        "Ann",
        "Lee, Ann",
        'Ann "Q" Lee',
        "Ann <boss@bank.example>",
        "Ann\\",
        "Zoë Łuczak",
        "=?utf-8?q?Boss?=",
        "李" * 90,
        "a" * 100,
        "👩‍👩‍👧 and " * 8,
        "Team: A; B",
        "(no comment)",
    ],
)
@pytest.mark.parametrize("address", ["ann@guest.example", LONGEST, "a..b@guest.example", ".a.@b", "o'neil+x@b.example"])
def test_a_mailbox_is_read_as_it_was_meant(name: str, address: str) -> None:
    assert read_mailbox(Mailbox(name, address)) == (one_line(name, 100), address)


@given(st.text(max_size=200))
def test_any_name_is_read_as_it_was_meant(name: str) -> None:
    assert read_mailbox(Mailbox(name, "ann@guest.example")) == (one_line(name, 100), "ann@guest.example")


def test_a_mailbox_without_a_name_is_its_address() -> None:
    assert headers.mailbox(Mailbox(" \r\n ", "ann@guest.example")) == "ann@guest.example"


@given(st.text(max_size=300))
def test_any_subject_is_read_as_it_was_meant(text: str) -> None:
    said = f"x {one_line(text)} x"
    said = one_line(said)
    value = headers.subject(said)
    assert str(received("Subject", value)["subject"]) == said
    assert value.isascii()
    lines = f"Subject: {value}".split("\r\n")
    assert max(map(len, lines)) <= 78
    assert all(line[0] == " " for line in lines[1:])
    for word in re.findall(r"=\?utf-8\?b\?\S*", value):
        # RFC 2047, section 2
        assert len(word) <= 75


def test_an_encoded_word_is_a_text_like_any_other() -> None:
    value = headers.subject("x =?utf-8?q?=0D=0ABcc=3A_eve=40bad.example?= y")
    assert "?q?" not in value
    assert str(received("Subject", value)["subject"]) == "x =?utf-8?q?=0D=0ABcc=3A_eve=40bad.example?= y"


@pytest.mark.parametrize("value", ["a\r\nBcc: b", "a\nb", "a\rb", "a\r\n\r\nb", "a\0b", "ä", "", " a", "a\r\n"])
def test_what_is_no_field_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="not a header"):
        headers.checked(value)


# --- of a whole mail ---


def test_a_mail_has_these_fields_and_no_others() -> None:
    message = mail(replace(invitation(), reply_to=GRETA, unsubscribe=STOP))
    assert dict(message.items()) == {
        "From": "Acme Clinic <bookings@acme.example>",
        "To": "Ann Lee <ann@guest.example>",
        "Reply-To": "Greta Gräber <greta@host.example>",
        "Subject": "Intro call between Greta Gräber and Ann Lee",
        "Date": "Fri, 20 Feb 2026 09:30:00 +0000",
        "Message-ID": "<0198c0de000070008000000000000001@acme.example>",
        "References": "<a28018c2a041c036f47b9282b0674e1c@acme.example>",
        "Auto-Submitted": "auto-generated",
        "List-Unsubscribe": "<https://book.example/stop/abc>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "MIME-Version": "1.0",
        "Content-Type": 'multipart/alternative; boundary="=_0198c0de000070008000000000000001"',
        "Content-Language": "en",
    }


def test_the_parts_stand_from_the_plainest_to_the_richest() -> None:
    def types(message: EmailMessage) -> list[str]:
        return [part.get_content_type() for part in message.walk()][1:]

    assert types(mail(invitation())) == ["text/plain", "text/html", "text/calendar"]
    assert types(mail(letter())) == ["text/plain", "text/html"]
    assert mail(letter()).get_content_type() == "multipart/alternative"


def test_the_calendar_part_says_what_it_is() -> None:
    calendar = list(mail(invitation()).walk())[-1]
    assert dict(calendar["content-type"].params) == {"method": "REQUEST", "charset": "utf-8", "name": "invite.ics"}
    assert calendar["content-transfer-encoding"] == "base64"


def test_a_mail_that_nobody_can_end_says_nothing_of_it() -> None:
    assert not {"list-unsubscribe", "list-unsubscribe-post"} & {name.lower() for name in mail(letter())}


@pytest.mark.parametrize(
    "address",
    [
        "http://book.example/x>\r\nBcc: <a@b.example",
        "javascript:alert(1)",
        "mailto:a@b.example",
        "https://book.example/a,b",
        "https://bücher.example/",
        "https://book.example/" + "x" * 900,
        "",
    ],
)
def test_an_address_that_no_field_can_hold_ends_no_mails(address: str) -> None:
    assert "List-Unsubscribe" not in mail(letter(unsubscribe=address))
    assert "List-Unsubscribe-Post" not in mail(letter(unsubscribe=address))


def test_a_long_address_is_not_torn() -> None:
    long = "https://book.example/stop/" + "x" * 800
    assert f"\r\nList-Unsubscribe: <{long}>\r\n".encode() in to_bytes(compose(letter(unsubscribe=long)))


def test_mails_of_one_booking_stand_together() -> None:
    booked = mail(letter())
    moved = mail(letter(Kind.RESCHEDULED, Role.HOST, id=UUID(int=7), at=letter().at + timedelta(days=1)))
    other = mail(letter(meeting=meeting(uid="another@slotwire")))
    assert booked["references"] == moved["references"] != other["references"]
    assert booked["message-id"] != moved["message-id"]
    assert "References" not in mail(letter(Kind.PASSWORD_RESET, Role.MEMBER))


def test_the_same_letter_is_the_same_bytes() -> None:
    assert to_bytes(compose(invitation())) == to_bytes(compose(invitation()))


@pytest.mark.parametrize(
    "address", ["ann", "", "a b@c.example", "a@b\r\nBcc: c@d.example", "ä@b.example", "a@bücher.example"]
)
def test_a_letter_to_or_from_no_address_is_refused(address: str) -> None:
    for wrong in (letter(to=Mailbox("Ann", address)), letter(sender=Mailbox("Acme", address))):
        with pytest.raises(ValueError, match="e-mail address"):
            compose(wrong)
    assert "Reply-To" not in mail(letter(reply_to=Mailbox("Ann", address)))


def test_names_of_all_three_are_shown() -> None:
    message = mail(letter(to=replace(ANN, name="Änn"), sender=replace(SENDER, name="Äcme"), reply_to=GRETA))
    assert [message[name].addresses[0].display_name for name in ("to", "from", "reply-to")] == [
        "Änn",
        "Äcme",
        "Greta Gräber",
    ]
