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
        self.oauth.accounts.append(account)
        return self.store.add_account(account, timezone)

    def add_calendar(self, account: str, name: str, *, can_edit: bool = True) -> Calendar:
        return self.store.add_calendar(account, name, can_edit=can_edit)

    def add_event(self, calendar: str, starts_at: datetime, ends_at: datetime, **members: Any) -> str:
        """Its id. members: of a Graph event."""
        given = {"start": graph_time(starts_at), "end": graph_time(ends_at), **members}
        event = self.store.put(self.store.calendar(calendar), given)
        self.tell(calendar, "created", event)
        return str(event["id"])

    def add_series(
        self, calendar: str, starts_at: datetime, ends_at: datetime, *, days: int, count: int, **members: Any
    ) -> str:
        """The id of its master."""
        recurrence = {
            "pattern": {"type": "daily", "interval": days},
            "range": {"type": "numbered", "startDate": f"{starts_at:%Y-%m-%d}", "numberOfOccurrences": count},
        }
        kept = self.store.calendar(calendar)
        master_id = self.add_event(calendar, starts_at, ends_at, type="seriesMaster", recurrence=recurrence, **members)
        kept.series[master_id] = Series(starts_at, ends_at, days, count)
        return master_id

    def edit(self, calendar: str, event_id: str, **members: Any) -> None:
        for name in {"start", "end"} & members.keys():
            members[name] = graph_time(members[name])
        event = self.store.calendar(calendar).events[event_id]
        self.store.change(event, members)
        self.tell(calendar, "updated", event)

    def edit_occurrence(self, calendar: str, master_id: str, day: date, **members: Any) -> None:
        """It becomes an exception."""
        for name in {"start", "end"} & members.keys():
            members[name] = graph_time(members[name])
        kept = self.store.calendar(calendar)
        changed = kept.series[master_id].changed.setdefault(day, {"type": "exception"})
        changed.update(members)
        self.store.touch(changed)
        self.tell(calendar, "updated", kept.events[master_id])

    def cancel_occurrence(self, calendar: str, master_id: str, day: date) -> None:
        kept = self.store.calendar(calendar)
        kept.series[master_id].cancelled.add(day)
        self.tell(calendar, "updated", kept.events[master_id])

    def remove(self, calendar: str, event_id: str) -> None:
        kept = self.store.calendar(calendar)
        kept.series.pop(event_id, None)
        self.tell(calendar, "deleted", kept.events.pop(event_id))

    def move_to_calendar(self, calendar: str, event_id: str, other: str, *, keeps_id: bool = False) -> str:
        """The id that it has there."""
        event = self.store.calendar(calendar).events.pop(event_id)
        self.tell(calendar, "deleted", event)
        moved = {**event, "id": event_id if keeps_id else self.store.new_id()}
        self.store.calendar(other).events[moved["id"]] = moved
        self.store.touch(moved)
        self.tell(other, "created", moved)
        return str(moved["id"])

    def remove_calendar(self, calendar: str) -> None:
        for mailbox in self.store.mailboxes.values():
            mailbox.calendars.pop(calendar, None)

    def events(self, calendar: str) -> list[Json]:
        return list(self.store.calendar(calendar).events.values())
