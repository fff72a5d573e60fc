"""Ids: UUIDv7 in the database, TypeIDs on the wire (`bkg_01k…`: a prefix per noun and 26 characters of base 32).

The one rule: an id of the wrong kind is not found, never an error of the server.
Source: the TypeID specification 0.3; RFC 9562, section 5.7.
"""

import functools
import secrets
import uuid
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import uuid_utils
from typeid import TypeID
from typeid.errors import TypeIDException


class Kind(StrEnum):
    """What an id stands for, by its prefix."""

    ORGANIZATION = "org"
    USER = "usr"
    TEAM = "team"
    EVENT_TYPE = "evt"
    LINK = "lnk"
    BOOKING = "bkg"
    RESOURCE = "res"
    LOCATION = "loc"
    SCHEDULE = "sch"
    KEY = "key"
    SESSION = "ses"
    AUDIT = "aud"
    WEBHOOK = "whk"
    EVENT = "evn"
    DELIVERY = "dlv"
    WAITLIST_ENTRY = "wtl"
    CALENDAR = "cal"


# No 0/O, 1/I/L, U: a code is read aloud on the telephone and typed from a mail.
_CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_LENGTH = 10


def new_id() -> UUID:
    """A fresh UUIDv7: sortable by creation, made without asking the database."""
    return UUID(int=uuid_utils.uuid7().int)


def first_id(at: datetime) -> UUID:
    """The smallest UUIDv7 of a moment: whatever was made from then on is above it."""
    return UUID(int=max(0, int(at.timestamp() * 1000)) << 80)


@functools.lru_cache(maxsize=16_384)
def encode(kind: Kind, value: UUID) -> str:
    """The id as the wire shows it. Remembered, since a booking's event type and host are shown again and again."""
    return str(TypeID.from_uuid(prefix=kind.value, suffix=uuid_utils.UUID(int=value.int)))


def decode(kind: Kind, text: str) -> UUID | None:
    """The UUID inside a TypeID of this kind, or None when the text is not one."""
    if not text.startswith(kind.value + "_"):
        return None
    try:
        return uuid.UUID(int=TypeID.from_string(text).uuid.int)
    except (TypeIDException, ValueError):
        return None


def new_code() -> str:
    """A booking's human handle: ten characters, 30^10 possibilities."""
    number, letters = secrets.randbelow(len(_CODE_ALPHABET) ** _CODE_LENGTH), []
    for _ in range(_CODE_LENGTH):
        number, digit = divmod(number, len(_CODE_ALPHABET))
        letters.append(_CODE_ALPHABET[digit])
    return "".join(letters)
