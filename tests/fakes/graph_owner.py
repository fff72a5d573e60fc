"""What the owners of the fake's mailboxes do there, in Outlook."""

from datetime import date, datetime
from typing import Any

from tests.fakes.graph_pushes import Subscriptions
from tests.fakes.graph_store import Calendar, Json, Series, Store, graph_time
from tests.fakes.oauth import OAuth


class Owner(Subscriptions):
    """Whoever listens is told. Calendars and events are named by their ids."""

    oauth: OAuth

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()

    def add_account(self, account: str, timezone: str = "W. Europe Standard Time") -> Calendar:
        """Its calendar."""
        if account not in self.oauth.accounts:
            self.oauth.accounts.append(account)
        return self.store.add_account(account, timezone)

    def primary(self, account: str) -> str:
        """The id of its calendar."""
        return next(each.id for each in self.store.mailboxes[account].calendars.values() if each.default)

    def add_calendar(self, account: str, name: str, *, can_edit: bool = True) -> Calendar:
        return self.store.add_calendar(account, name, can_edit=can_edit)

    def add_event(self, calendar: str, start: datetime | date, end: datetime | date, **members: Any) -> Json:
        """start, end: aware datetimes, or dates of whole days, the end exclusive. members: of a Graph event."""
        given = {"isAllDay": not isinstance(start, datetime), **_edges(start=start, end=end), **members}
        event = self.store.put(self.store.calendar(calendar), given)
        self.tell(calendar, "created", event)
        return event

    def add_series(
        self, calendar: str, start: datetime, end: datetime, *, days: int, count: int, **members: Any
    ) -> Json:
        """Every so many days, so many times. Its master."""
        recurrence = {
            "pattern": {"type": "daily", "interval": days},
            "range": {"type": "numbered", "startDate": f"{start:%Y-%m-%d}", "numberOfOccurrences": count},
        }
        event = self.add_event(calendar, start, end, type="seriesMaster", recurrence=recurrence, **members)
        self.store.calendar(calendar).series[event["id"]] = Series(start, end, days, count)
        return event

    def edit(self, calendar: str, event_id: str, **members: Any) -> Json:
        """members: of a Graph event; start and end as in `add_event`. An occurrence's id makes an exception."""
        given = {**members, **_edges(**{name: members[name] for name in ("start", "end") if name in members})}
        there = self.store.calendar(calendar)
        event = there.events.get(event_id)
        if event is None:
            master_id, day = there.occurrence(event_id)
            event = there.series[master_id].changed.setdefault(day, {"id": event_id, "type": "exception"})
            event.update(given)
            self.store.touch(event)
        else:
            self.store.change(event, given)
        self.tell(calendar, "updated", event)
        return event

    def remove(self, calendar: str, event_id: str) -> None:
        """A series goes with all its occurrences."""
        there = self.store.calendar(calendar)
        there.series.pop(event_id, None)
        event = there.events.pop(event_id, None)
        if event is None:
            master_id, day = there.occurrence(event_id)
            there.series[master_id].cancelled.add(day)
        self.tell(calendar, "deleted", event or {"id": event_id})

    def move_to_calendar(self, calendar: str, event_id: str, other: str, *, keeps_id: bool = False) -> Json:
        """As it is there; mostly with another id."""
        event = self.store.calendar(calendar).events.pop(event_id)
        self.tell(calendar, "deleted", event)
        moved = {**event, "id": event_id if keeps_id else self.store.new_id()}
        self.store.calendar(other).events[moved["id"]] = moved
        self.store.touch(moved)
        self.tell(other, "created", moved)
        return moved

    def remove_calendar(self, calendar: str) -> None:
        for mailbox in self.store.mailboxes.values():
            mailbox.calendars.pop(calendar, None)

    def event(self, calendar: str, event_id: str) -> Json:
        return self.store.calendar(calendar).events[event_id]

    def events(self, calendar: str) -> list[Json]:
        return list(self.store.calendar(calendar).events.values())


def _edges(**given: datetime | date) -> Json:
    """Times as Graph shows them; days as midnights in the zone that was asked for, which is UTC."""
    return {name: graph_time(at) for name, at in given.items()}
