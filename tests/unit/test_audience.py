"""Who is told of what: each case of the table, by name."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from app.core.ids import Kind as IdKind
from app.core.ids import encode
from app.domain.bookings import events
from app.domain.bookings.ical import Method
from app.domain.notifications.audience import Host, News, letters_owed, reminders_owed

ANA, BO = UUID(int=1), UUID(int=2)
HOSTS = {ANA: Host(ANA, "ana@x.example"), BO: Host(BO, "bo@x.example")}
JANE, GUS = "jane@x.example", "gus@x.example"


def shown(status: str = "SCHEDULED", before: str = "DRAFT", *, hosts: tuple[UUID, ...] = (ANA,), **changes: Any) -> Any:
    return {
        "status": status,
        "attendee": {"email": JANE},
        "guests": [{"email": GUS}, {"email": JANE.upper()}, {"email": GUS.upper()}],
        "hosts": [{"user_id": encode(IdKind.USER, each)} for each in hosts],
        "history": [{"from": before, "to": status}],
        **changes,
    }


def told(kind: str, booking: Any, previous: Any = None, hosts: dict[UUID, Host] | None = None) -> set[str]:
    letters = letters_owed(News(kind, booking, previous, hosts or HOSTS))
    assert len(letters) == len({(each.kind, each.role, each.recipient.lower()) for each in letters})
    return {f"{each.role} {each.recipient}: {each.kind} {each.method}" for each in letters}


ENDED = {"status": "CANCELLED"}
JO: Any = {"attendee": {"email": "jo@x.example"}}


@dataclass(frozen=True)
class Case:
    name: str
    event: str
    booking: Any
    expected: set[str]
    previous: Any = None


CASES = [
    Case(
        "booked",
        events.CREATED,
        shown(),
        {
            f"attendee {JANE}: booked REQUEST",
            f"guest {GUS}: booked REQUEST",
            "host ana@x.example: booked REQUEST",
        },
    ),
    Case(
        "asked",
        events.CREATED,
        shown("PENDING_CONFIRMATION"),
        {f"attendee {JANE}: pending None", "host ana@x.example: pending None"},
    ),
    Case(
        "a host of several agrees for all",
        events.CONFIRMED,
        shown("SCHEDULED", "PENDING_CONFIRMATION", hosts=(ANA, BO)),
        {
            f"attendee {JANE}: confirmed REQUEST",
            f"guest {GUS}: confirmed REQUEST",
            "host ana@x.example: confirmed REQUEST",
            "host bo@x.example: confirmed REQUEST",
        },
    ),
    Case(
        "declined after it was moved",
        events.DECLINED,
        shown("CANCELLED", "PENDING_CONFIRMATION", rescheduled_from_id="bkg_x"),
        {f"attendee {JANE}: declined None", f"guest {GUS}: declined None"},
    ),
    Case(
        "declined",
        events.DECLINED,
        shown("CANCELLED", "PENDING_CONFIRMATION"),
        {f"attendee {JANE}: declined None"},
    ),
    Case(
        "declined for several hosts",
        events.DECLINED,
        shown("CANCELLED", "PENDING_CONFIRMATION", hosts=(ANA, BO)),
        {f"attendee {JANE}: declined None", "host ana@x.example: declined None", "host bo@x.example: declined None"},
    ),
    Case(
        "cancelled",
        events.CANCELLED,
        shown("CANCELLED", "SCHEDULED"),
        {
            f"attendee {JANE}: cancelled CANCEL",
            f"guest {GUS}: cancelled CANCEL",
            "host ana@x.example: cancelled CANCEL",
        },
    ),
    Case(
        "cancelled before anybody had agreed",
        events.CANCELLED,
        shown("CANCELLED", "PENDING_CONFIRMATION"),
        {f"attendee {JANE}: cancelled None", "host ana@x.example: cancelled None"},
    ),
    Case(
        "moved",
        events.RESCHEDULED,
        shown("RESCHEDULED"),
        {
            f"attendee {JANE}: rescheduled REQUEST",
            f"guest {GUS}: rescheduled REQUEST",
            "host ana@x.example: rescheduled REQUEST",
        },
        shown("CANCELLED", "SCHEDULED"),
    ),
    Case(
        "moved to another host",
        events.RESCHEDULED,
        shown("RESCHEDULED", hosts=(BO,)),
        {
            f"attendee {JANE}: rescheduled REQUEST",
            f"guest {GUS}: rescheduled REQUEST",
            "host bo@x.example: booked REQUEST",
            "host ana@x.example: removed CANCEL",
        },
        shown("CANCELLED", "SCHEDULED"),
    ),
    Case(
        "moved by the host before anybody had been asked to come",
        events.RESCHEDULED,
        shown("RESCHEDULED", hosts=(BO,)),
        {
            f"attendee {JANE}: rescheduled REQUEST",
            f"guest {GUS}: rescheduled REQUEST",
            "host bo@x.example: booked REQUEST",
            "host ana@x.example: removed None",
        },
        shown("CANCELLED", "PENDING_CONFIRMATION"),
    ),
    Case(
        "moved, and waits for an answer",
        events.RESCHEDULED,
        shown("PENDING_CONFIRMATION", hosts=(ANA, BO)),
        {
            f"attendee {JANE}: withdrawn CANCEL",
            f"attendee {JANE}: pending None",
            f"guest {GUS}: withdrawn CANCEL",
            "host ana@x.example: withdrawn CANCEL",
            "host ana@x.example: pending None",
            "host bo@x.example: pending None",
        },
        shown("CANCELLED", "SCHEDULED"),
    ),
    Case(
        "moved again while it waits",
        events.RESCHEDULED,
        shown("PENDING_CONFIRMATION"),
        {f"attendee {JANE}: pending None", "host ana@x.example: pending None"},
        shown("CANCELLED", "PENDING_CONFIRMATION"),
    ),
    Case(
        "another e-mail",
        events.UPDATED,
        shown(**JO, guests=[]),
        {
            "attendee jo@x.example: email_changed REQUEST",
            f"attendee {JANE}: removed CANCEL",
            "host ana@x.example: email_changed REQUEST",
        },
        shown(),
    ),
    Case(
        "another e-mail than a guest's",
        events.UPDATED,
        shown(**JO),
        {
            "attendee jo@x.example: email_changed REQUEST",
            f"attendee {JANE}: removed None",
            "host ana@x.example: email_changed REQUEST",
        },
        shown(),
    ),
    Case(
        "another e-mail than the host's own",
        events.UPDATED,
        shown(**JO),
        {
            "attendee jo@x.example: email_changed REQUEST",
            "attendee Ana@x.example: removed None",
            "host ana@x.example: email_changed REQUEST",
        },
        shown(attendee={"email": "Ana@x.example"}),
    ),
    Case(
        "another e-mail before anybody has agreed",
        events.UPDATED,
        shown("PENDING_CONFIRMATION", **JO),
        {
            "attendee jo@x.example: email_changed None",
            f"attendee {JANE}: removed None",
            "host ana@x.example: email_changed None",
        },
        shown("PENDING_CONFIRMATION"),
    ),
    Case("a reservation without an attendee", events.CREATED, shown(attendee=None, guests=[], hosts=()), set()),
    Case("came", events.COMPLETED, shown("COMPLETED"), set()),
    Case("did not come", events.NO_SHOW, shown("NO_SHOW"), set()),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_table(case: Case) -> None:
    assert told(case.event, case.booking, case.previous) == case.expected


def test_every_event_that_people_are_told_of_stands_in_the_table() -> None:
    assert {case.event for case in CASES if case.expected} == {
        events.CREATED,
        events.CONFIRMED,
        events.DECLINED,
        events.CANCELLED,
        events.RESCHEDULED,
        events.UPDATED,
    }


def test_whoever_was_removed_from_the_organization_is_told_nothing() -> None:
    assert not [each for each in told(events.CREATED, shown(), hosts={BO: HOSTS[BO]}) if each.startswith("host")]


@pytest.mark.parametrize(("writes", "asked"), [(True, {JANE, GUS}), (False, {JANE, GUS, "ana@x.example"})])
def test_nobody_is_invited_twice(writes: bool, asked: set[str]) -> None:
    """By a mail, and by the calendar that we write."""
    hosts = {ANA: Host(ANA, "ana@x.example", writes=writes)}
    letters = letters_owed(News(events.CREATED, shown(), None, hosts))
    assert len(letters) == 3
    assert {each.recipient for each in letters if each.method} == asked


@pytest.mark.parametrize(("asked", "expected"), [({"bo@x.example"}, Method.CANCEL), (set[str](), None)])
def test_an_invitation_of_ours_is_taken_back(asked: set[str], expected: Method | None) -> None:
    """The calendar was connected after the booking."""
    booking = shown("CANCELLED", "SCHEDULED", hosts=(BO,), guests=[])
    writing = {BO: Host(BO, "bo@x.example", writes=True)}
    letters = letters_owed(News(events.CANCELLED, booking, None, writing, frozenset(asked)))
    assert [each.method for each in letters if each.recipient == "bo@x.example"] == [expected]


def test_reminders_go_to_whom_it_concerns_and_who_wants_them() -> None:
    assert [each.recipient for each in reminders_owed(shown(), frozenset())] == [JANE, GUS]
    assert [each.recipient for each in reminders_owed(shown(), frozenset({GUS}))] == [JANE]
    assert reminders_owed(shown(attendee=None, guests=[]), frozenset()) == []


@pytest.mark.parametrize(
    ("hosts", "attendee", "expected"),
    [
        ((), JANE, {f"attendee {JANE}: pending", "member ana@x.example: pending", "member bo@x.example: pending"}),
        ((), "Ana@X.example", {"member ana@x.example: pending", "member bo@x.example: pending"}),
        ((ANA,), JANE, {f"attendee {JANE}: pending", "host ana@x.example: pending"}),
    ],
)
@pytest.mark.parametrize("kind", [events.CREATED, events.RESCHEDULED])
def test_what_has_no_host_is_decided_by_whose_it_is(
    kind: str, hosts: tuple[UUID, ...], attendee: str, expected: set[str]
) -> None:
    """Who decides is asked, and not told to wait for themselves as well."""
    booking = shown("PENDING_CONFIRMATION", hosts=hosts, attendee={"email": attendee})
    before = shown("CANCELLED", "PENDING_CONFIRMATION", hosts=hosts)
    deciders = tuple(HOSTS.values())
    letters = letters_owed(News(kind, booking, before, {ANA: HOSTS[ANA]}, deciders=deciders))
    assert {f"{each.role} {each.recipient}: {each.kind}" for each in letters} == expected
