"""The organization: what `/v1` takes and gives."""

from typing_extensions import TypedDict

from app.core.ids import Kind, encode
from app.core.shown import Mail, OrganizationRef
from app.domain.identity.models import Organization
from app.faces.rest.shapes.kinds import Locale, LocaleShown
from app.web.fields import Email, Name, WireModel


class OrganizationPatch(WireModel):
    name: Name = ""
    sender_name: Name | None = None
    reply_to: Email | None = None
    locale: Locale = ""


class OrganizationShown(TypedDict):
    """sender_name: what mails come from by name; the organization's own where it is null. reply_to: where answers to
    mails go; to the host where it is null. locale: of mails to attendees, and of whoever joins."""

    id: OrganizationRef
    name: str
    sender_name: str | None
    reply_to: Mail | None
    locale: LocaleShown


def organization_out(organization: Organization) -> OrganizationShown:
    return {
        "id": encode(Kind.ORGANIZATION, organization.id),
        "name": organization.name,
        "sender_name": organization.sender_name,
        "reply_to": organization.reply_to,
        "locale": organization.locale,
    }
