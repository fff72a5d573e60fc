"""What every link in a mail has in common: people open it in a browser, and its address is its credential.

The one rule: whoever came by a browser is told in a page what went wrong.
"""

from functools import wraps

from aiohttp import web

from app.core.errors import MethodNotAllowed, SlotwireError
from app.faces.public import html
from app.faces.public.words import problem_page
from app.web.call import Visit
from app.web.routing import PublicHandler


def by_link(handler: PublicHandler) -> PublicHandler:
    """For links that show or change something: nobody keeps what they answer."""
    paged = in_pages(handler)

    @wraps(handler)
    async def answer(visit: Visit) -> web.StreamResponse:
        html.keep_secret(visit.request)
        return await paged(visit)

    return answer


def in_pages(handler: PublicHandler) -> PublicHandler:
    @wraps(handler)
    async def answer(visit: Visit) -> web.StreamResponse:
        try:
            return await handler(visit)
        except SlotwireError as error:
            if isinstance(error, MethodNotAllowed) or not html.wants_html(visit.request):
                raise
            return problem_page(error)

    return answer
