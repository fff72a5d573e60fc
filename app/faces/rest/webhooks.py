"""`/v1/webhooks`: subscribe, read, change, give a new secret, unsubscribe."""

from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from app.core.db import Connection
from app.core.ids import Kind, encode
from app.domain.webhooks import subscriptions
from app.domain.webhooks.addresses import Guard, check_url
from app.domain.webhooks.subscriptions import Webhook, represent_webhook
from app.faces.rest.shapes.webhooks import NothingIn, WebhookIn, WebhookPatch
from app.web import idempotency
from app.web.auditing import note
from app.web.call import Call
from app.web.paging import list_page


def _checked_url(call: Call, url: str) -> str:
    return str(check_url(url, Guard.of(call.settings)))


def _host(url: str) -> str:
    """Of the audit log: an address may hold a token behind it."""
    return urlsplit(url).hostname or ""


async def create(call: Call) -> web.Response:
    """The only answer that shows the secret, but for a rotation's."""
    given = call.body(WebhookIn)
    url = _checked_url(call, given.url)

    async def make(conn: Connection) -> dict[str, Any]:
        webhook, secret = await subscriptions.create_webhook(
            conn,
            call.principal.org_id,
            url=url,
            events=tuple(dict.fromkeys(given.events)),
            event_type_ids=given.event_type_ids,
            headers=given.headers,
            description=given.description,
            active=given.active,
            vault=call.vault,
            now=call.now,
        )
        await note(conn, call, "webhook.created", encode(Kind.WEBHOOK, webhook.id), host=_host(url))
        return call.envelope({**represent_webhook(webhook), "secret": secret})

    return await idempotency.create(call, make)


async def read(call: Call) -> web.Response:
    webhook = await subscriptions.get_webhook(call.conn, call.principal.org_id, call.path_id(Kind.WEBHOOK))
    return call.answer(represent_webhook(webhook))


async def list_all(call: Call) -> web.Response:
    return await list_page(call, Kind.WEBHOOK, subscriptions.list_webhooks, represent_webhook)


async def update(call: Call) -> web.Response:
    given, webhook_id = call.body(WebhookPatch), call.path_id(Kind.WEBHOOK)
    changes = given.changes()
    if "url" in changes:
        changes["url"] = _checked_url(call, changes["url"])

    async def change(conn: Connection) -> Webhook:
        more = {"host": _host(changes["url"])} if "url" in changes else {}
        await note(conn, call, "webhook.changed", encode(Kind.WEBHOOK, webhook_id), fields=sorted(changes), **more)
        return await subscriptions.update_webhook(
            conn, call.principal.org_id, webhook_id, changes, call.vault, call.now
        )

    webhook = await call.write(change)
    return call.answer(represent_webhook(webhook))


async def rotate_secret(call: Call) -> web.Response:
    webhook_id = call.path_id(Kind.WEBHOOK)
    call.optional_body(NothingIn)

    async def make(conn: Connection) -> dict[str, Any]:
        rotated = await subscriptions.rotate_secret(conn, call.principal.org_id, webhook_id, call.vault, call.now)
        webhook, secret = rotated
        await note(conn, call, "webhook.secret_rotated", encode(Kind.WEBHOOK, webhook_id))
        return call.envelope({**represent_webhook(webhook), "secret": secret})

    return await idempotency.create(call, make, status=200)


async def delete(call: Call) -> web.Response:
    webhook_id = call.path_id(Kind.WEBHOOK)

    async def remove(conn: Connection) -> None:
        await subscriptions.delete_webhook(conn, call.principal.org_id, webhook_id, call.now)
        await note(conn, call, "webhook.deleted", encode(Kind.WEBHOOK, webhook_id))

    await call.write(remove)
    return web.Response(status=204)
