"""Locations: what `/v1` takes and gives."""

from typing_extensions import TypedDict

from app.core.ids import Kind, encode
from app.core.shown import LocationRef, Time, Zone
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


class LocationShown(TypedDict):
    id: LocationRef
    name: str
    timezone: Zone
    address: str | None
    created_at: Time
    updated_at: Time


def location_out(location: Location) -> LocationShown:
    return {
        "id": encode(Kind.LOCATION, location.id),
        "name": location.name,
        "timezone": location.timezone,
        "address": location.address,
        "created_at": iso(location.created_at),
        "updated_at": iso(location.updated_at),
    }
