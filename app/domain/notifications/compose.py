"""A letter as a mail (RFC 5322): text, HTML, and the calendar part where there is one.

The one rule: nothing is read and nobody is asked. The same letter is the same bytes, and whatever a stranger wrote
stays text: it begins no header, no tag and no calendar line.
"""

import hashlib
from datetime import UTC
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from app.core.emails import is_email
from app.domain.bookings.ical import Entry, Mailbox, Method, calendar_of
from app.domain.notifications import headers
from app.domain.notifications.letters import Kind, Letter, Meeting
from app.domain.notifications.plain import is_header_address, many_lines, one_line
from app.domain.notifications.wording import Words, attendee_of, place_of, words_of

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    # by what is not HTML, so that a new template is safe
    autoescape=select_autoescape(disabled_extensions=("txt",), default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
# read at the start, so that no mail waits for the disk
_HTML = _TEMPLATES.get_template("mail.html")
_TEXT = _TEMPLATES.get_template("mail.txt")

# Our fields are folded already. 7 bits: any relay takes it, whatever it offers (RFC 6152, RFC 6531).
_POLICY = policy.SMTP.clone(refold_source="none", cte_type="7bit")


def compose(letter: Letter) -> EmailMessage:
    """Raises ValueError where there is no such letter (`wording.is_worded`) or an address is none, KeyError where a
    fact is missing: both are mistakes of the caller's, never a stranger's doing."""
    for each in (letter.to, letter.sender):
        if not is_email(each.address):
            raise ValueError("a letter goes from an e-mail address to an e-mail address")
    words = words_of(letter)
    message = EmailMessage(policy=_POLICY)
    _write_headers(message, letter, words)
    message.set_content(_TEXT.render(words=words), cte="quoted-printable")
    message.add_alternative(_HTML.render(words=words), subtype="html", cte="quoted-printable")
    if letter.meeting and letter.meeting.method:
        method = letter.meeting.method
        message.add_alternative(
            calendar_of(method, [_entry(letter, letter.meeting, words)], now=letter.at),
            maintype="text",
            subtype="calendar",
            cte="base64",
            params={"method": method.value, "charset": "utf-8", "name": "invite.ics"},
        )
    # after the parts, which take every Content-* field for their own
    message.set_raw("Content-Language", headers.checked(words.language.locale))
    # neither encoding can hold an equals sign and an underscore side by side (RFC 2045, section 6.7)
    message.set_boundary(f"=_{letter.id.hex}")
    return message


def to_bytes(message: EmailMessage) -> bytes:
    """As it goes to a relay: CRLF and 7 bits."""
    return message.as_bytes(policy=_POLICY)


def _write_headers(message: EmailMessage, letter: Letter, words: Words) -> None:
    domain = letter.sender.address.rpartition("@")[2]

    def write(name: str, value: str) -> None:
        message.set_raw(name, headers.checked(value))

    write("From", headers.mailbox(letter.sender))
    write("To", headers.mailbox(letter.to))
    if letter.reply_to and is_email(letter.reply_to.address):
        write("Reply-To", headers.mailbox(letter.reply_to))
    write("Subject", headers.subject(one_line(words.subject, 300)))
    write("Date", format_datetime(letter.at.astimezone(UTC)))
    write("Message-ID", f"<{letter.id.hex}@{domain}>")
    if letter.meeting:
        # no mail has this id; all mails of a booking refer to it, and so they stand together
        write("References", f"<{hashlib.sha256(letter.meeting.uid.encode()).hexdigest()[:32]}@{domain}>")
    write("Auto-Submitted", "auto-generated")
    if letter.unsubscribe and is_header_address(letter.unsubscribe):
        write("List-Unsubscribe", f"<{letter.unsubscribe}>")
        write("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")


def _entry(letter: Letter, meeting: Meeting, words: Words) -> Entry:
    place = place_of(meeting, words.language)
    return Entry(
        uid=meeting.uid,
        sequence=meeting.sequence,
        starts_at=meeting.starts_at,
        ends_at=meeting.ends_at,
        summary=words.about,
        description=_description(meeting, words),
        location=place.text if place else "",
        organizer=_clean(meeting.organizer),
        attendees=_attendees(letter, meeting),
        tentative=letter.kind is Kind.PENDING,
        cancelled=meeting.method is Method.CANCEL,
        created_at=meeting.created_at,
        updated_at=meeting.updated_at,
    )


def _attendees(letter: Letter, meeting: Meeting) -> tuple[Mailbox, ...]:
    """Each address once. Who is taken off an entry is told so alone (RFC 5546, section 3.2.5)."""
    if letter.kind is Kind.REMOVED:
        return (_clean(letter.to),)
    attendee = attendee_of(letter)
    found: dict[str, Mailbox] = {}
    for each in (*((attendee,) if attendee else ()), *meeting.guests, *meeting.hosts):
        if is_email(each.address):
            found.setdefault(each.address.lower(), _clean(each))
    return tuple(found.values())


def _clean(mailbox: Mailbox) -> Mailbox:
    return Mailbox(one_line(mailbox.name, 100), mailbox.address)


def _description(meeting: Meeting, words: Words) -> str:
    parts = [many_lines(meeting.notes or "", 2000)]
    if place := place_of(meeting, words.language):
        parts.append(words.language.say("mail.detail", {"label": place.label, "text": place.text}))
    links = ({"label": button.label, "text": button.url} for button in words.buttons)
    parts.extend(words.language.say("mail.detail", each) for each in links)
    return "\n\n".join(part for part in parts if part)
