"""People: what `/v1` takes and gives."""

from typing import Any

from app.core.ids import Kind, encode
from app.domain.identity.models import Principal, User


def me_out(principal: Principal, user: User) -> dict[str, Any]:
    return {
        "success": True,
        "user": {
            "id": encode(Kind.USER, user.id),
            "email": user.email,
            "name": user.name,
            "username": user.username,
            "timezone": user.timezone,
            "role": user.role,
        },
        "organization": {"id": encode(Kind.ORGANIZATION, principal.org_id), "name": principal.org_name},
        "key": {
            "id": encode(Kind.KEY, principal.key_id),
            "name": principal.key_name,
            "scopes": sorted(principal.scopes),
        },
    }
