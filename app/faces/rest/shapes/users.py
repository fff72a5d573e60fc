"""People: what `/v1` takes and gives."""

from typing import Annotated, Literal, NotRequired, get_args

from typing_extensions import TypedDict

from app.core.ids import Kind, encode
from app.core.shown import EventTypeRef, KeyRef, Link, Mail, OrganizationRef, Time, UserRef, Zone, one_of
from app.core.times import iso
from app.domain.identity.budgets import Budget
from app.domain.identity.models import Principal, User
from app.domain.identity.scopes import SCOPES
from app.faces.rest.shapes.kinds import Locale, LocaleShown
from app.web.fields import Email, Handle, Name, WireModel, ZoneName

Role = Literal["owner", "admin", "member"]


class PersonIn(WireModel):
    """username: one made from the e-mail, when there is none. timezone: the caller's. locale: the organization's."""

    email: Email
    name: Name
    username: Handle | None = None
    timezone: ZoneName | None = None
    locale: Locale | None = None
    role: Role = "member"


class PersonPatch(PersonIn):
    email: Email = ""
    name: Name = ""
    username: Handle = ""
    timezone: ZoneName = ""
    locale: Locale = ""


class UserShown(TypedDict):
    id: UserRef
    email: Mail
    name: str
    username: str
    timezone: Zone
    locale: LocaleShown
    role: Annotated[str, one_of(*get_args(Role))]
    created_at: Time
    updated_at: Time


class FeedShown(TypedDict):
    """url: for calendar programs. Whoever has it sees the bookings, until it is rotated."""

    url: Link


class MyOrganizationShown(TypedDict):
    id: OrganizationRef
    name: str


class LimitsShown(TypedDict):
    """What the key may book at most; null: no such limit. bookings_per_day: made, held, moved or waited for, of a UTC
    day. event_type_ids: the only ones of whose bookings it makes and changes any. max_lead_days: how far ahead a start
    may lie, in days of 24 hours. attendee_domains: of the e-mails of attendees and guests; what lies below them too."""

    bookings_per_day: int | None
    event_type_ids: list[EventTypeRef] | None
    max_lead_days: int | None
    attendee_domains: list[str] | None


class KeyShown(TypedDict):
    """limits, requires_approval: of a key that has any of these; with the latter, a person confirms whatever it
    books."""

    id: KeyRef
    name: str
    scopes: list[Annotated[str, one_of(*SCOPES)]]
    limits: NotRequired[LimitsShown]
    requires_approval: NotRequired[bool]


class Me(TypedDict):
    """Who is behind the key."""

    success: Literal[True]
    user: UserShown
    organization: MyOrganizationShown
    key: KeyShown


def user_out(user: User) -> UserShown:
    return {
        "id": encode(Kind.USER, user.id),
        "email": user.email,
        "name": user.name,
        "username": user.username,
        "timezone": user.timezone,
        "locale": user.locale,
        "role": user.role,
        "created_at": iso(user.created_at),
        "updated_at": iso(user.updated_at),
    }


def limits_out(budget: Budget | None) -> LimitsShown:
    bounds = budget or Budget()
    ids, domains = bounds.event_type_ids, bounds.attendee_domains
    return {
        "bookings_per_day": bounds.bookings_per_day,
        "event_type_ids": None if ids is None else [encode(Kind.EVENT_TYPE, each) for each in ids],
        "max_lead_days": bounds.max_lead_days,
        "attendee_domains": None if domains is None else list(domains),
    }


def me_out(principal: Principal, user: User) -> Me:
    assert principal.key_id is not None  # noqa: S101 -- this is asked with keys only
    key: KeyShown = {
        "id": encode(Kind.KEY, principal.key_id),
        "name": principal.key_name,
        "scopes": sorted(principal.scopes),
    }
    if principal.budget is not None:
        key["limits"] = limits_out(principal.budget)
        key["requires_approval"] = principal.budget.requires_approval
    return {
        "success": True,
        "user": user_out(user),
        "organization": {"id": encode(Kind.ORGANIZATION, principal.org_id), "name": principal.org_name},
        "key": key,
    }
