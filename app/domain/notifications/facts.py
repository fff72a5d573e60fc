"""From a claimed row to a letter: everything a reader may know, and nothing else.

The one rule: links that act go only to whoever is the attendee now, or a host. Guests of a session with several seats
learn nothing of each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from app.core import sql
from app.core.ids import Kind as IdKind
from app.core.ids import decode
from app.core.times import parse_instant
from app.core.vault import Vault
from app.domain.bookings.ical import Mailbox, Method
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.tokens import Purpose, mint
from app.domain.notifications.accounts import account_link
from app.domain.notifications.language import DEFAULT
from app.domain.notifications.letters import Kind, Letter, Meeting, Role
from app.domain.notifications.optouts import unsubscribe_token

_OVER = frozenset({Kind.DECLINED, Kind.CANCELLED, Kind.WITHDRAWN, Kind.REMOVED})


@dataclass(frozen=True, slots=True)
class Desk:
    """What letters are made with: the key ring, the address that mails come from, and that which links begin with."""

    vault: Vault
    sender: str
    public_url: str


def letter_of(row: sql.Row, desk: Desk, now: datetime) -> Letter:
    """The letter of a claimed mail (see `claim_mails`)."""
    kind, role, settings = Kind(row["kind"]), Role(row["role"]), row["settings"]
    sender_name = settings.get("sender_name") or row["org_name"]
    secret = desk.vault.unseal_cached(row["secret_sealed"])
    body = orjson.loads(row["body"]) if row["body"] is not None else None
    meeting = None
    if body is not None:
        organizer = Mailbox(sender_name, row["organizer"] or desk.sender)
        meeting = _meeting(row, kind, role, body["data"], organizer)
    return Letter(
        id=row["id"],
        kind=kind,
        role=role,
        locale=row["user_locale"] or settings.get("locale") or DEFAULT,
        zone=row["user_zone"] or _booking(body).get("timezone") or row["data"].get("timezone") or "UTC",
        to=Mailbox(_name(row, role, meeting), row["recipient"]),
        sender=Mailbox(sender_name, desk.sender),
        organization=row["org_name"],
        at=now,
        reply_to=_reply_to(settings, role, meeting),
        meeting=meeting,
        links=_links(row, kind, role, secret, desk.public_url),
        facts={name: value for name, value in row["data"].items() if isinstance(value, str)},
        unsubscribe=_unsubscribe(row, kind, secret, desk.public_url),
    )


def _booking(body: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return body["data"]["booking"] if body else {}


def _meeting(row: sql.Row, kind: Kind, role: Role, data: Mapping[str, Any], organizer: Mailbox) -> Meeting:
    shown, previous = data["booking"], data.get("previous") or {}
    known = {UUID(each["id"]): Mailbox(each["name"], each["address"]) for each in row["hosts"] or ()}
    # who was the attendee or the host before is told about the booking as it was to them
    theirs = {**shown, **previous} if kind in {Kind.REMOVED, Kind.WITHDRAWN} else shown
    ids = (decode(IdKind.USER, host["user_id"]) for host in theirs["hosts"])
    hosts = tuple(known[each] for each in ids if each in known)
    guests = tuple(Mailbox(guest.get("name") or "", guest["email"]) for guest in theirs["guests"])
    attendee = theirs["attendee"] and Mailbox(theirs["attendee"]["name"], theirs["attendee"]["email"])
    if row["seated"] and role is Role.GUEST:
        attendee, guests = None, tuple(each for each in guests if each.address.lower() == row["recipient"].lower())
    is_host, cancellation = role is Role.HOST, shown["cancellation"] or {}
    moved = "start_time" in previous
    # in a letter about the time before there is no other
    was = (parse_instant(previous["start_time"]), parse_instant(previous["end_time"])) if moved else None
    last = shown["history"][-1] if shown["history"] else {}
    return Meeting(
        uid=shown["ical_uid"],
        sequence=shown["ical_sequence"],
        title=row["title"] or "",
        starts_at=parse_instant(theirs["start_time"]),
        ends_at=parse_instant(theirs["end_time"]),
        organizer=organizer,
        hosts=hosts,
        attendee=attendee,
        created_at=parse_instant(shown["created_at"]),
        updated_at=parse_instant(shown["updated_at"]),
        guests=guests,
        was=was if theirs is shown else None,
        location=(shown["location"]["kind"], shown["location"]["value"]) if shown["location"] else None,
        notes=theirs["notes"] if role is not Role.GUEST else None,
        attendee_phone=theirs["attendee"]["phone"] if is_host and theirs["attendee"] else None,
        answers=_answers(row["questions"] or (), theirs["answers"]) if is_host else (),
        reason=cancellation.get("reason") or (last.get("reason") if moved else None),
        by=cancellation.get("by") or (last.get("by") if moved else None),
        method=Method(row["ical_method"]) if row["ical_method"] else None,
    )


def _answers(questions: Any, answers: Any) -> tuple[tuple[str, str], ...]:
    labels = {each["id"]: each["label"] for each in questions}
    return tuple((labels.get(each["question_id"], each["question_id"]), _spoken(each["answer"])) for each in answers)


def _spoken(answer: Any) -> str:
    if isinstance(answer, list):
        return ", ".join(str(each) for each in answer)
    if isinstance(answer, bool):
        return "✓" if answer else "✗"
    return str(answer)


def _name(row: sql.Row, role: Role, meeting: Meeting | None) -> str:
    if role in {Role.HOST, Role.MEMBER}:
        return str(row["user_name"] or "")
    people = [meeting.attendee, *meeting.guests] if meeting else []
    name = next((each.name for each in people if each and each.address.lower() == row["recipient"].lower()), "")
    return name or str(row["data"].get("name") or "")


def _reply_to(settings: Mapping[str, Any], role: Role, meeting: Meeting | None) -> Mailbox | None:
    """A reply reaches a person: whom the organization has named, or the one at the other side of the meeting."""
    if role is Role.HOST:
        return meeting.attendee if meeting else None
    if settings.get("reply_to"):
        return Mailbox("", settings["reply_to"])
    return meeting.hosts[0] if meeting and meeting.hosts and role is not Role.MEMBER else None


def _links(row: sql.Row, kind: Kind, role: Role, secret: bytes, public_url: str) -> dict[str, str]:
    if row["booking_id"] is None:
        link = account_link(kind, row, secret)
        return {name: f"{public_url}{path}" for name, path in link.items()}
    if kind in _OVER:
        return {}

    def token(purpose: Purpose) -> str:
        return mint(secret, purpose, row["org_id"], row["booking_id"], row["token_version"])

    if role in {Role.HOST, Role.MEMBER} and kind is Kind.PENDING and row["status"] == Status.PENDING_CONFIRMATION:
        address = f"{public_url}/v1/bookings/{token(Purpose.CONFIRM)}"
        return {"confirm": f"{address}/confirm", "decline": f"{address}/decline"}
    if kind is Kind.WAITLIST_OFFER:
        return {"offer": f"{public_url}/v1/offers/{token(Purpose.OFFER)}"}
    if role is Role.ATTENDEE and row["recipient"].lower() == (row["attendee_email"] or "").lower():
        links = {
            "reschedule": f"{public_url}/v1/reschedule/{token(Purpose.RESCHEDULE)}",
            "cancel": f"{public_url}/v1/cancel/{token(Purpose.CANCEL)}",
        }
        if row["reserved"]:
            # the page would have to offer any time whatever; it is moved where it was made
            del links["reschedule"]
        # what nobody has agreed to yet belongs into no calendar
        invite = {"invite": f"{public_url}/v1/bookings/{token(Purpose.VIEW)}/invite.ics"}
        return links if kind is Kind.PENDING else links | invite
    return {}


def _unsubscribe(row: sql.Row, kind: Kind, secret: bytes, public_url: str) -> str | None:
    if kind is not Kind.REMINDER:
        return None
    return f"{public_url}/v1/unsubscribe/{unsubscribe_token(secret, row['org_id'], row['id'])}"
