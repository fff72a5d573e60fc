"""The address of a host's feed. Whoever has it sees their bookings: calendar programs know of no log-in.

The one rule: it proves itself (see `app.core.link_tokens`), and raising the host's `feed_version` ends it.
"""

from uuid import UUID

from app.core import link_tokens

_PURPOSE = "feed"


def feed_token(secret: bytes, org_id: UUID, user_id: UUID, version: int) -> str:
    return link_tokens.write(org_id, user_id, link_tokens.prove(secret, _PURPOSE, _message(user_id, version)))


def proves(proof: bytes, secret: bytes, user_id: UUID, version: int) -> bool:
    return link_tokens.proves(proof, secret, _PURPOSE, _message(user_id, version))


def _message(user_id: UUID, version: int) -> bytes:
    return user_id.bytes + version.to_bytes(4, "big")
