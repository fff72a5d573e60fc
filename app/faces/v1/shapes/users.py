"""People: what `/v1` takes and gives."""

from typing import Any, Literal

from app.core.ids import Kind, encode
from app.core.times import iso
from app.domain.identity.models import Principal, User
from app.web.fields import Email, Handle, Name, WireModel, ZoneName


class PersonIn(WireModel):
    """username: one made from the e-mail, when there is none. timezone: the caller's."""

    email: Email
    name: Name
    username: Handle | None = None
    timezone: ZoneName | None = None
    role: Literal["owner", "admin", "member"] = "member"


class PersonPatch(PersonIn):
    email: Email = ""
    name: Name = ""
    username: Handle = ""
    timezone: ZoneName = ""


def user_out(user: User) -> dict[str, Any]:
    return {
        "id": encode(Kind.USER, user.id),
        "email": user.email,
        "name": user.name,
        "username": user.username,
        "timezone": user.timezone,
        "role": user.role,
        "created_at": iso(user.created_at),
        "updated_at": iso(user.updated_at),
    }


def me_out(principal: Principal, user: User) -> dict[str, Any]:
    return {
        "success": True,
        "user": user_out(user),
        "organization": {"id": encode(Kind.ORGANIZATION, principal.org_id), "name": principal.org_name},
        "key": {
            "id": encode(Kind.KEY, principal.key_id),
            "name": principal.key_name,
            "scopes": sorted(principal.scopes),
        },
    }
