"""Where an account's calendars are, and which there are.

The one rule: nothing is guessed: the server says where to look, from whatever address of it was given.
Source: RFC 6764, sections 5 and 6; RFC 4791, sections 5.2 and 6.2.1; RFC 6638, sections 2.2.1, 2.4.1 and 9.2; RFC 7809,
section 4.1.
"""

from dataclasses import dataclass, replace

from yarl import URL

from app.domain.calendars import dav
from app.domain.calendars.dav import CAL, DAV, Dav, Part, Parts
from app.domain.calendars.provider import Refused, RemoteCalendar, TryLater
from app.domain.calendars.zones import iana

ABOUT_A_CALENDAR = (
    *("d:resourcetype", "d:displayname", "d:sync-token", "d:supported-report-set", "d:current-user-privilege-set"),
    *("c:supported-calendar-component-set", "c:calendar-timezone", "c:calendar-timezone-id"),
)
_WHERE = (
    *("d:resourcetype", "d:current-user-principal", "c:calendar-home-set", "c:calendar-user-address-set"),
    "c:schedule-inbox-URL",
)
_DEFAULT = "schedule-default-calendar-URL"
# what servers call the calendar that everybody has from the beginning
_FIRST_NAMES = frozenset({"personal", "default", "home", "calendar"})
_WRITING = tuple(f"{DAV}{name}" for name in ("all", "write", "write-content", "bind"))


@dataclass(frozen=True, slots=True)
class Account:
    """homes: collections of calendars. calendar: the one that was named, where one was. addresses: the owner's, in
    lower case. inbox: for invitations, which knows the calendar that they go into."""

    homes: tuple[str, ...]
    calendar: str | None
    addresses: frozenset[str]
    inbox: str | None = None


async def located(asked: Dav, url: str, username: str) -> Account:
    """At the URL itself, or where it or the host's well-known address points. Raises Refused("no_calendars")."""
    beside = str(URL(url).with_path("/.well-known/caldav").with_query(None))
    plain: Account | None = None
    for each in (url, beside):
        found = await asked.parts("PROPFIND", each, dav.propfind(*_WHERE))
        if isinstance(found, Parts):
            account = await _looked_up(asked, found, username)
            if account.homes or account.calendar:
                return account
            # it may be a home that does not say so
            plain = plain or replace(account, homes=(found.url,))
        elif found.status == 403:
            raise Refused("forbidden")
    if plain is None:
        raise Refused("no_calendars")
    return plain


async def _looked_up(asked: Dav, found: Parts, username: str) -> Account:
    here = principal = found.first
    if not principal.hrefs(f"{CAL}calendar-home-set"):
        for href in here.hrefs(f"{DAV}current-user-principal")[:1]:
            answer = await asked.parts("PROPFIND", asked.joined(found.url, href), dav.propfind(*_WHERE))
            principal = answer.first if isinstance(answer, Parts) else principal
    addresses = {
        each.lower().removeprefix("mailto:")
        for each in principal.hrefs(f"{CAL}calendar-user-address-set")
        if each.lower().startswith("mailto:")
    }
    if "@" in username:
        addresses.add(username.lower())
    homes = [asked.joined(found.url, each) for each in principal.hrefs(f"{CAL}calendar-home-set")]
    calendar = found.url if here.has(f"{DAV}resourcetype", f"{CAL}calendar") else None
    inbox = next((asked.joined(found.url, each) for each in principal.hrefs(f"{CAL}schedule-inbox-URL")), None)
    return Account(tuple(homes), calendar, frozenset(addresses), inbox)


async def calendars_of(asked: Dav, account: Account, username: str) -> list[RemoteCalendar]:
    """primary: the one that invitations go into, where the server tells; else one with a usual name, else the first by
    its address, which does not change from one listing to the next. Raises Refused: "no_calendars", or what the server
    refuses; TryLater where it could not tell of all."""
    where = [(account.calendar, "0")] if account.calendar else [(home, "1") for home in account.homes]
    parts: list[Part] = []
    for url, depth in where:
        listed = await asked.parts("PROPFIND", url, dav.propfind(*ABOUT_A_CALENDAR), depth)
        if not isinstance(listed, Parts):
            raise Refused("forbidden" if listed.status == 403 else "no_calendars")
        if any(each.status >= 500 for each in listed.parts):
            raise TryLater("incomplete")
        parts += [each for each in listed.parts if _takes_events(each)]
    if not parts:
        raise Refused("no_calendars")
    first = await _first(asked, account, [each.url for each in parts if _is_writable(each)])
    return [
        RemoteCalendar(
            remote_id=each.url,
            name=each.text(f"{DAV}displayname") or URL(each.url).path.rstrip("/").rpartition("/")[2],
            timezone=_timezone(each),
            primary=each.url == first,
            writable=_is_writable(each),
            account=username if "@" in username else min(account.addresses, default=None),
        )
        for each in parts
    ]


async def _first(asked: Dav, account: Account, urls: list[str]) -> str | None:
    """urls: of those that may be written."""
    if account.inbox is not None and len(urls) > 1:
        found = await asked.parts("PROPFIND", account.inbox, dav.propfind(f"c:{_DEFAULT}"))
        named = found.first.hrefs(f"{CAL}{_DEFAULT}") if isinstance(found, Parts) else []
        for href in named:
            there = _path(asked.joined(account.inbox, href))
            if known := next((each for each in urls if _path(each) == there), None):
                return known
    return min(urls, key=lambda each: (_path(each).rpartition("/")[2].lower() not in _FIRST_NAMES, each), default=None)


def _path(url: str) -> str:
    return URL(url).path.rstrip("/")


def _takes_events(part: Part) -> bool:
    """Without a word about components, a calendar takes all (RFC 4791, section 5.2.3)."""
    taken = part.props.get(f"{CAL}supported-calendar-component-set")
    names = {each.get("name", "").upper() for each in taken} if taken is not None else {"VEVENT"}
    return part.has(f"{DAV}resourcetype", f"{CAL}calendar") and "VEVENT" in names


def _is_writable(part: Part) -> bool:
    """Where the server does not tell, trying will."""
    if f"{DAV}current-user-privilege-set" not in part.props:
        return True
    return any(part.has(f"{DAV}current-user-privilege-set", each) for each in _WRITING)


def _timezone(part: Part) -> str | None:
    """calendar-timezone-id (RFC 7809), or the name in calendar-timezone (RFC 4791, section 5.2.2)."""
    described = part.text(f"{CAL}calendar-timezone")
    names = [line.partition(":")[2] for line in described.splitlines() if line.upper().startswith("TZID")]
    known = [iana(each) for each in (part.text(f"{CAL}calendar-timezone-id"), *names) if each]
    return next((each for each in known if each), None)
