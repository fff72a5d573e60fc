"""Locations: what `/v1` takes and gives."""

from typing import Any

from app.core.ids import Kind, encode
from app.core.times import iso
from app.domain.resources.locations import Location
from app.web.fields import Name, Text, WireModel, ZoneName


class LocationIn(WireModel):
    name: Name
    timezone: ZoneName
    address: Text | None = None


class LocationPatch(LocationIn):
    name: Name = ""
    timezone: ZoneName = "UTC"


def location_out(location: Location) -> dict[str, Any]:
    return {
        "id": encode(Kind.LOCATION, location.id),
        "name": location.name,
        "timezone": location.timezone,
        "address": location.address,
        "created_at": iso(location.created_at),
        "updated_at": iso(location.updated_at),
    }
