"""Whatever strangers write stays text: it begins no header, no tag, no attribute and no calendar line."""

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.bookings.ical import Mailbox, Method
from app.domain.notifications.compose import compose, to_bytes
from app.domain.notifications.letters import Kind, Letter, Meeting, Role
from app.domain.notifications.plain import is_web_page, many_lines, one_line
from tests import itip
from tests.unit.mail_samples import ANN, EVERY, GRETA, full, invitation, letter, links, mail, meeting, part

HOSTILE = (
    "\r\nBcc: eve@bad.example",
    "\r\n\r\n<script>alert(1)</script>",
    "\r\nATTENDEE:mailto:eve@bad.example\r\nEND:VEVENT",
    "</td></dl><img src=x onerror=alert(1)>",
    "\" onmouseover='alert(1)' x=\"",
    "javascript:alert(1)",
    "=?utf-8?q?=0D=0ABcc=3A_eve=40bad.example?=",
    "{{ 7 * 7 }} {% raw %}",
    "{title} {0.__class__} %s",
    "Eve <eve@bad.example>, boss@bank.example",
    "\u2028\u2029\x85\x0b\x0c\x00\x1b\x7f",
    "\u202etxt.exe\u2066\u200f",
    "\\n\\, ; : ^n ^' \"",
    "--=_0198c0de000070008000000000000001--",
    "李" * 300,
    "x" * 2000,
    "\ud800",
)
# something that stays, so that no text is empty
texts = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=40), min_size=1, max_size=3).map(
    lambda parts: f"x{' '.join(parts)}x"
)
mailboxes = st.builds(Mailbox, texts, st.sampled_from(["eve@bad.example", "a..b'{|}=?x@c.example"]))
meetings = st.builds(
    meeting,
    title=texts,
    hosts=st.tuples(mailboxes),
    attendee=mailboxes,
    organizer=mailboxes,
    location=st.tuples(st.sampled_from(["link", "phone", "in_person", "resource", "?"]), texts),
    notes=texts,
    attendee_phone=texts,
    answers=st.tuples(st.tuples(texts, texts)),
    reason=texts,
    by=st.sampled_from(["host", "attendee"]) | texts,
    uid=texts.map(lambda text: one_line(text) + "@slotwire"),
    sequence=st.just(1),
)

HARMLESS: dict[str, Any] = {
    "title": "x",
    "location": ("in_person", "x"),
    "notes": "x",
    "reason": "x",
    "answers": (("x", "x"),),
}
FIELDS = {
    "From To Subject Date Message-ID References Auto-Submitted MIME-Version Content-Type Content-Language": False,
    "From To Reply-To Subject Date Message-ID References Auto-Submitted List-Unsubscribe List-Unsubscribe-Post "
    "MIME-Version Content-Type Content-Language": True,
}


def in_calendar(text: str) -> str:
    """A backslash and an N would be a line break there."""
    return text.replace("\\N", "/N")


class Tags(HTMLParser):
    """Every tag with its attributes, but for the line breaks of texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "br":
            self.found.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.found.append((f"/{tag}", []))

    def handle_comment(self, data: str) -> None:
        self.found.append((f"!--{data}", []))


def tags(of: Letter) -> list[tuple[str, list[tuple[str, str | None]]]]:
    return Tags(part(of, "html")).found


def harmless(given: Meeting) -> Meeting:
    """The same meeting with nothing but the letter x."""
    people: dict[str, Any] = {"attendee": Mailbox("x", ANN.address), "hosts": (Mailbox("x", GRETA.address),)}
    return replace(given, **HARMLESS, **people, attendee_phone="x")


@pytest.mark.parametrize("role", [Role.ATTENDEE, Role.HOST, Role.GUEST])
@settings(deadline=None)
@given(about=meetings, organization=texts, name=texts, reply=st.booleans())
def test_what_strangers_write_stays_text(
    role: Role, about: Meeting, organization: str, name: str, *, reply: bool
) -> None:
    plain = letter(
        Kind.CANCELLED,
        role,
        meeting=about,
        organization=organization,
        to=Mailbox(name, "reader@guest.example"),
        sender=Mailbox(organization, "bookings@acme.example"),
        reply_to=about.attendee if reply else None,
        unsubscribe="https://book.example/stop/x" if reply else None,
        links=links("cancel"),
    )
    raw = to_bytes(compose(plain))
    message = mail(plain)
    assert [message.keys()] == [names.split() for names, with_reply in FIELDS.items() if with_reply is reply]
    assert len(message["to"].addresses) == len(message["from"].addresses) == 1
    assert message["to"].addresses[0].addr_spec == "reader@guest.example"
    assert not message.defects
    assert [len(each.defects) for each in message.walk()] == [0, 0, 0]
    # one line each, folded or not
    head = raw.split(b"\r\n\r\n", 1)[0].replace(b"\r\n ", b" ").split(b"\r\n")
    assert len(head) == len(message.keys())
    assert tags(plain) == tags(replace(plain, meeting=harmless(about), organization="x"))


@settings(deadline=None)
@given(about=meetings, organization=texts)
def test_a_calendar_holds_what_was_written(about: Meeting, organization: str) -> None:
    method = replace(about, method=Method.CANCEL, guests=(Mailbox(organization, "bob@guest.example"),), hosts=(GRETA,))
    plain = letter(Kind.CANCELLED, meeting=method, organization=organization, links=links("cancel"))
    message = itip.check_mail(to_bytes(compose(plain)))
    assert message is not None
    assert about.attendee is not None
    assert about.notes is not None
    assert message.attendees == (about.attendee.address, "bob@guest.example", GRETA.address)
    assert message.names[0] == one_line(about.attendee.name, 100).translate(str.maketrans('"\\', "'/"))
    assert message.names[1] == one_line(organization, 100).translate(str.maketrans('"\\', "'/"))
    assert message.organizer == about.organizer.address
    assert message.uid == in_calendar(about.uid)
    assert message.description.startswith(in_calendar(many_lines(about.notes, 2000)))
    assert message.description.endswith("Cancel the booking: https://book.example/cancel/abc123")
    # Exchange takes the title from the subject
    assert in_calendar(str(mail(plain)["subject"])) == f"{message.summary}: cancelled"
    allowed = "SUMMARY DTSTART DTEND DTSTAMP UID SEQUENCE ATTENDEE CREATED DESCRIPTION LAST-MODIFIED LOCATION ORGANIZER"
    inside = [each.name for each in message.calendar.properties if each.inside[-1:] == ("VEVENT",)]
    assert set(inside) == {*allowed.split(), "STATUS", "TRANSP"}


_FACTS = "until inviter days minutes url reason account provider count title starts_at moved_to"


@settings(max_examples=40, deadline=None)
@given(
    facts=st.fixed_dictionaries(dict.fromkeys(_FACTS.split(), texts)),
    organization=texts,
)
@pytest.mark.parametrize(("kind", "role"), [each for each in EVERY if each[1] is Role.MEMBER])
def test_facts_stay_text(kind: Kind, role: Role, facts: dict[str, str], organization: str) -> None:
    plain = letter(kind, role, facts=facts, organization=organization, links=links("settings"))
    assert tags(plain) == tags(replace(plain, facts=dict.fromkeys(facts, "x"), organization="x"))


@pytest.mark.parametrize("locale", ["en", "de"])
@pytest.mark.parametrize(("kind", "role"), EVERY)
def test_a_text_is_never_a_phrase(kind: Kind, role: Role, locale: str) -> None:
    named = full(kind, role, locale)
    if named.meeting is None:
        named = replace(named, facts={**named.facts, "inviter": "{address}"}, organization="{days} {{ 7*7 }}")
        expected = "{days} {{ 7*7 }}"
    else:
        named = replace(named, meeting=replace(named.meeting, title="{hosts} {{ 7*7 }} %(x)s"))
        expected = "{hosts} {{ 7*7 }} %(x)s"
    for text in (part(named, "plain"), part(named, "html"), str(mail(named)["subject"])):
        assert expected in text


# --- links ---

NO_PAGES = (
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "//evil.example/x",
    "https:/evil.example",
    "https://",
    "http://a b",
    'https://a.example/"onmouseover="alert(1)',
    "https://a.example/<b>",
    "https://a.example/\r\nx",
    "https://a.example/\u202egpj.exe",
    "https://" + "x" * 3000,
    "ftp://a.example",
    "mailto:a@b.example",
    "tel:+4930",
    "meet.example/room",
    "",
)


@pytest.mark.parametrize("text", NO_PAGES)
def test_what_is_no_web_page_is_no_link(text: str) -> None:
    assert not is_web_page(text)
    plain = letter(meeting=meeting(location=("link", text)), links={"cancel": text, "settings": text}, unsubscribe=text)
    assert not [tag for tag, _ in tags(plain) if tag == "a"]


@pytest.mark.parametrize(
    "text",
    ["https://meet.example/a?b=c&d=e#f", "HTTP://meet.example:8080/%20", "https://bücher.example/ä", "http://[::1]/"],
)
def test_a_web_page_is_a_link_to_itself(text: str) -> None:
    found = [
        dict(attributes) for tag, attributes in tags(letter(meeting=meeting(location=("link", text)))) if tag == "a"
    ]
    assert [each["href"] for each in found] == [text]
    assert text in part(letter(meeting=meeting(location=("link", text))), "plain")


@pytest.mark.parametrize("kind", ["phone", "in_person", "resource", "unheard_of"])
def test_only_a_place_online_is_a_link(kind: str) -> None:
    plain = letter(meeting=meeting(location=(kind, "https://meet.example/")))
    assert not [tag for tag, _ in tags(plain) if tag == "a"]
    assert "https://meet.example/" in part(plain, "plain")


# --- texts ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Ann \t Lee ", "Ann Lee"),
        ("Ann\r\nLee", "Ann Lee"),
        ("Ann\u2028Lee\u2029\x85\x0b\x0c\x00!", "Ann Lee !"),
        ("\u202eAnn\u2066\u200f\ufeff", "Ann"),
        ("\ud800", "\ufffd"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("می‌خواهم", "می‌خواهم"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_one_line(text: str, expected: str) -> None:
    assert one_line(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc\nd\u2028e\x85f", "a\nb\nc\nd\ne\nf"),
        ("\n\n  a  \n\n  b \n", "  a\n\n  b"),
        ("a\x00\x1bb", "a  b"),
        ("x\n" * 9000, ("x\n" * 5000)[:-1] + "…"),
    ],
)
def test_many_lines(text: str, expected: str) -> None:
    assert many_lines(text) == expected


def test_lines_of_a_stranger_are_indented() -> None:
    """So that they pass for none of ours."""
    text = part(letter(meeting=meeting(notes="Hello\n-- \nCancel the booking:\nhttps://evil.example")), "plain")
    assert "Notes:\n    Hello\n    --\n    Cancel the booking:\n    https://evil.example\n" in text


def test_an_attendee_with_no_address_is_left_out_of_the_calendar() -> None:
    wrong = Mailbox("Eve", "eve@bad.example\r\nATTENDEE:mailto:x@y.example")
    message = itip.check_mail(to_bytes(compose(invitation(guests=(wrong,)))))
    assert message is not None
    assert message.attendees == (ANN.address, GRETA.address)
