"""The part of the table without keys that providers of calendars use: the way back from consent, and notifications."""

from app.faces.public import consents, hooks
from app.faces.public.shapes import ConsentIn, ConsentQuery, ConsentTaken, HookQuery
from app.web.consents import PATH
from app.web.hooks import HookRoute
from app.web.operation import Besides, Operation
from app.web.routing import PublicRoute


def _hook(path: str, summary: str, name: str) -> HookRoute:
    handshake, taken = Besides(200, media="text/plain"), Besides(202)
    operation = Operation(summary, query=HookQuery, status=204, besides=(handshake, taken), name=name)
    return HookRoute("POST", f"/hooks/calendars/{{hook_id}}{path}", hooks.notify, operation)


ROUTES = (
    PublicRoute(
        "GET",
        PATH,
        consents.come_back,
        Operation(
            "Come back from a provider's consent page",
            query=ConsentQuery,
            answer=ConsentTaken,
            problems=("link_expired", "forbidden", "conflict", "method_not_allowed"),
            page=True,
            besides=(Besides(303),),
            name="finish_connecting",
        ),
    ),
    PublicRoute(
        "POST",
        PATH,
        consents.confirm,
        Operation(
            "Connect the calendar that a server asked for",
            body=ConsentIn,
            answer=ConsentTaken,
            problems=("link_expired", "forbidden", "conflict"),
            page=True,
            besides=(Besides(303),),
            name="confirm_connecting",
        ),
    ),
)

HOOKS = (
    _hook("", "Be told by Google or Microsoft that a calendar has changed", "notify_of_calendar"),
    _hook("/lifecycle", "Be told by Microsoft what becomes of a subscription", "notify_of_subscription"),
)
