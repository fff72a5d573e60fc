"""What `/api` takes and gives that no other face does: log-ins, sessions, keys, the audit log."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from typing_extensions import TypedDict

from app.core.emails import is_email
from app.core.ids import Kind, encode
from app.core.shown import AuditRef, KeyRef, Looks, SessionRef, Time, UserRef, one_of
from app.core.times import iso
from app.domain.bookings.entries import EntryStatus
from app.domain.identity.audit import Entry
from app.domain.identity.budgets import Budget
from app.domain.identity.keys import ApiKey
from app.domain.identity.models import Principal, User
from app.domain.identity.roles import POWERS
from app.domain.identity.scopes import SCOPES, TOOLS
from app.domain.identity.sessions import Device
from app.domain.resources.resources import Wanted
from app.faces.rest.shapes.deliveries import DeliveryStatus
from app.faces.rest.shapes.resources import ResourceKind
from app.faces.rest.shapes.users import LimitsShown, MyOrganizationShown, UserShown, limits_out, user_out
from app.web.fields import (
    AskedNumber,
    Email,
    EventTypeId,
    Instant,
    LocationId,
    Name,
    Password,
    UserId,
    WireModel,
    ZoneName,
    refusal,
)
from app.web.paging import Numbers

_LABEL = "[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"

# whatever was a password once may be typed here
GivenPassword = Annotated[str, StringConstraints(strip_whitespace=False, min_length=1, max_length=1000)]


class LogInIn(WireModel):
    email: Annotated[str, StringConstraints(min_length=1, max_length=320)]
    password: GivenPassword


class SignUpIn(WireModel):
    """Makes an organization, of which the person is the owner."""

    organization: Name
    name: Name
    email: Email
    password: Password
    timezone: ZoneName


class PasswordChangeIn(WireModel):
    current_password: GivenPassword
    new_password: Password


class PasswordResetIn(WireModel):
    email: Annotated[str, StringConstraints(min_length=1, max_length=320)]


class SessionShown(UserShown):
    """Who is logged in, and what their role allows: the scopes of keys, and powers that only people have."""

    organization: MyOrganizationShown
    permissions: list[Annotated[str, one_of(*SCOPES, *POWERS)]]


class AcceptedShown(TypedDict):
    """It tells nothing of whether there is such an account."""

    email: str


class DeviceShown(TypedDict):
    """Where somebody is logged in. current: this very browser."""

    id: SessionRef
    current: bool
    user_agent: str | None
    address: str | None
    created_at: Time
    last_seen_at: Time
    expires_at: Time


def _domain(value: str) -> str:
    """In small letters, as addresses are compared with it."""
    domain = value.lower().removesuffix(".")
    if not is_email(f"x@{domain}") or "." not in domain:
        raise ValueError(
            "expected a domain such as example.com: no @, no *, and letters beyond ASCII as xn--… (what lies below a "
            "domain belongs to it)"
        )
    return domain


Domain = Annotated[
    str,
    StringConstraints(max_length=252),
    AfterValidator(_domain),
    Looks({"pattern": f"^{_LABEL}([.]{_LABEL})+[.]?$"}),
]


class KeyLimitsIn(WireModel):
    """What a key may book at most; null or left out: no such limit. bookings_per_day: made, held, moved or waited for,
    of a UTC day. event_type_ids: the only ones of whose bookings it makes and changes any, and then no resources.
    max_lead_days: how far ahead a start may lie, in days of 24 hours. attendee_domains: of the e-mails of attendees and
    guests; what lies below them belongs to them."""

    bookings_per_day: int | None = Field(default=None, ge=1, le=10_000)
    event_type_ids: list[EventTypeId] | None = Field(default=None, min_length=1, max_length=100)
    max_lead_days: int | None = Field(default=None, ge=1, le=730)
    attendee_domains: list[Domain] | None = Field(default=None, min_length=1, max_length=100)


class KeyIn(WireModel):
    """tools: which tools of the MCP server a key with the scope `mcp` sees; all of its scopes' when there is none.
    requires_approval: whatever it books, holds or moves waits for a person to confirm it, whatever the event type
    says."""

    name: Name
    scopes: list[Literal[SCOPES]] = Field(min_length=1, max_length=len(SCOPES))  # type: ignore[valid-type]
    tools: list[Literal[TOOLS]] | None = Field(default=None, min_length=1, max_length=len(TOOLS))  # type: ignore[valid-type]
    expires_at: Instant | None = None
    limits: KeyLimitsIn | None = None
    requires_approval: bool = False

    @property
    def budget(self) -> Budget:
        """What is given twice counts once."""
        given = self.limits or KeyLimitsIn()
        ids, domains = given.event_type_ids, given.attendee_domains
        return Budget(
            bookings_per_day=given.bookings_per_day,
            event_type_ids=None if ids is None else tuple(dict.fromkeys(ids)),
            max_lead_days=given.max_lead_days,
            attendee_domains=None if domains is None else tuple(dict.fromkeys(domains)),
            requires_approval=self.requires_approval,
        )

    @model_validator(mode="after")
    def _narrows_what_it_has(self) -> Self:
        if self.tools is not None and "mcp" not in self.scopes:
            raise refusal("tools", "only a key with the scope mcp has tools")
        return self


class ApiKeyShown(TypedDict):
    """key_start: the first characters, to know it by. requires_approval: whatever it books waits for a person to
    confirm it."""

    id: KeyRef
    name: str
    key_start: str
    scopes: list[Annotated[str, one_of(*SCOPES)]]
    tools: list[Annotated[str, one_of(*TOOLS)]] | None
    user_id: UserRef
    created_at: Time
    last_used_at: Time | None
    expires_at: Time | None
    limits: LimitsShown
    requires_approval: bool


class KeyCreated(ApiKeyShown):
    """secret: the key itself, this once."""

    secret: str


class AuditQuery(Numbers):
    """action: such as `key.created`, or a noun such as `key`. target: the id of what it was done to."""

    action: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}(\.[a-z_]{1,40})?$")] | None = None
    target: Annotated[str, StringConstraints(max_length=100)] | None = None
    user_id: UserId | None = None
    since: Instant | None = None
    until: Instant | None = None


class SessionResourcesQuery(Numbers):
    location_id: LocationId | None = None
    kind: ResourceKind | None = None
    min_capacity: AskedNumber | None = Field(default=None, ge=0, le=1_000_000)

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.location_id, self.kind, self.min_capacity)


class SessionDeliveriesQuery(Numbers):
    """status may be given several times."""

    status: list[DeliveryStatus] | None = None


class WaitlistNumbers(Numbers):
    """status may be given several times."""

    event_type_id: EventTypeId | None = None
    status: list[EntryStatus] | None = None


class AuditShown(TypedDict):
    """actor: who did it, as an id (`usr_…`, `key_…`), or null for the attendee and for the clock."""

    id: AuditRef
    at: Time
    actor_kind: Annotated[str, one_of("user", "api_key", "attendee", "system")]
    actor: str | None
    action: str
    target: str | None
    address: str | None
    details: dict[str, Any]


def me_out(principal: Principal, user: User) -> SessionShown:
    return {
        **user_out(user),
        "organization": {"id": encode(Kind.ORGANIZATION, principal.org_id), "name": principal.org_name},
        "permissions": sorted(principal.scopes),
    }


def device_out(device: Device, principal: Principal) -> DeviceShown:
    return {
        "id": encode(Kind.SESSION, device.id),
        "current": device.id == principal.session_id,
        "user_agent": device.user_agent,
        "address": device.address,
        "created_at": iso(device.created_at),
        "last_seen_at": iso(device.last_seen_at),
        "expires_at": iso(device.expires_at),
    }


def key_out(key: ApiKey) -> ApiKeyShown:
    return {
        "id": encode(Kind.KEY, key.id),
        "name": key.name,
        "key_start": key.key_start,
        "scopes": sorted(key.scopes),
        "tools": list(key.tools) if key.tools is not None else None,
        "user_id": encode(Kind.USER, key.user_id),
        "created_at": iso(key.created_at),
        "last_used_at": iso(key.last_used_at) if key.last_used_at else None,
        "expires_at": iso(key.expires_at) if key.expires_at else None,
        "limits": limits_out(key.budget),
        "requires_approval": key.budget is not None and key.budget.requires_approval,
    }


_KINDS = {"user": Kind.USER, "api_key": Kind.KEY}


def entry_out(entry: Entry) -> AuditShown:
    kind = _KINDS.get(entry.actor_kind)
    return {
        "id": encode(Kind.AUDIT, entry.id),
        "at": iso(entry.at),
        "actor_kind": entry.actor_kind,
        "actor": encode(kind, entry.actor_id) if kind and entry.actor_id else None,
        "action": entry.action,
        "target": entry.target,
        "address": entry.address,
        "details": entry.details,
    }
