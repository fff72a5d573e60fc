"""The rules of availability one by one, each by itself, as the API contract has them.

Nothing here is shared with the code: hours are walked through (`tests.unit.hours`), periods compared as dates, units
tried in every way. What holds somebody's time is asked for its own buffers, not for what the inputs made of them.
"""

from datetime import UTC, date, datetime, timedelta
from itertools import product
from uuid import UUID
from zoneinfo import ZoneInfo

from app.core.ids import Kind, encode
from app.domain.availability.caps import Period
from app.domain.availability.inputs import Host, Requirement, Sitting, Unit
from app.domain.availability.windows import Hours
from tests.unit.hours import Walked, walk
from tests.unit.worlds import STEP, Taken, World

Reason = tuple[str, ...]
"""A code, and whom or what it is about."""


def apart(one: Taken, other: Taken) -> bool:
    """The earlier one is over, and its buffer after it, before the buffer before the later one begins."""
    first, second = sorted((one, other), key=lambda each: each.start)
    return first.end + first.after + second.before <= second.start


class Oracle:
    def __init__(self, world: World) -> None:
        self.world, self.rules = world, world.inputs.rules
        self.minutes = self._minutes()
        self.hosts = self._hosts()
        self._walked: dict[int, Walked] = {}
        self._plain: dict[int, Walked] = {}
        interval = self.rules.slot_interval_minutes or self.minutes
        self.grids: dict[int, list[int]] = {}
        subjects: list[Host | Unit] = [*world.inputs.hosts, *world.inputs.units]
        for subject in subjects:
            if subject.hours is not None:
                walked = self._walked[subject.subject_no] = self._walk(subject.hours)
                if isinstance(subject, Host):
                    self.grids[subject.subject_no] = walked.starts(world.start, world.end, self.minutes, interval)
        self._on_grid = {number: frozenset(starts) for number, starts in self.grids.items()}

    def _walk(self, hours: Hours) -> Walked:
        return Walked(hours, walk(hours.zone, self.world.start, self.world.end, STEP, 2, 1), STEP)

    def _minutes(self) -> int:
        for service in self.rules.services:
            if service["id"] == self.world.asking.get("service_id"):
                return int(service["duration_minutes"])
        return int(self.world.asking.get("duration") or self.rules.duration_minutes)

    def _hosts(self) -> list[Host]:
        """Whose time counts: whom routing left; of those the one that is named, or needed."""
        among, named = self.world.asking["among"], self.world.asking["host_id"]
        hosts = [host for host in self.world.inputs.hosts if among is None or host.user_id in among]
        if self.rules.assignment == "collective":
            return hosts
        hosts = [host for host in hosts if named in {None, host.user_id}]
        return hosts[:1] if self.rules.assignment == "fixed" else hosts

    def starts(self) -> list[int]:
        candidates = {start for host in self.hosts for start in self.grids.get(host.subject_no, ())}
        return [start for start in sorted(candidates) if self.groups(start)]

    def groups(self, start: int) -> list[tuple[UUID, ...]]:
        """Every group of hosts who could take a booking there, as ids in their order; none when nobody could."""
        if not self.rules.active or not self.hosts or self.too_soon(start) or self.too_far(start):
            return []
        session = self.session(start)
        if session is not None:
            return [tuple(session.host_ids)] if self.has_a_seat(session) else []
        if not self.ways(start):
            return []
        free = [host.user_id for host in self.hosts if self.is_free(host, start)]
        if self.rules.assignment == "round_robin":
            return [(each,) for each in free]
        return [tuple(free)] if len(free) == len(self.hosts) else []

    def too_soon(self, start: int) -> bool:
        ahead = datetime.fromtimestamp(start, UTC) - self.world.now
        return ahead < timedelta(minutes=self.rules.minimum_notice_minutes)

    def too_far(self, start: int) -> bool:
        days = self.rules.booking_window_days
        ahead = datetime.fromtimestamp(start, UTC) - self.world.now
        return days is not None and ahead > timedelta(days=days)

    def session(self, start: int) -> Sitting | None:
        """The one that somebody sits in."""
        return self.world.inputs.sittings.get(start)

    def is_ours(self, session: Sitting) -> bool:
        """Whether it is of the asked length, with hosts whom the question is about: for a group, with all of them."""
        there, asked = set(session.host_ids), {host.user_id for host in self.hosts}
        who = there == asked if self.rules.assignment == "collective" else there <= asked
        return who and session.end - session.start == self.minutes * 60

    def has_a_seat(self, session: Sitting) -> bool:
        """The session holds its hosts, units and caps already, so only hours and calendars can still say no."""
        if session.taken >= self.rules.seats or not self.is_ours(session):
            return False
        there = [host for host in self.hosts if host.user_id in session.host_ids]
        return all(self.is_on_grid(host, session.start) and not self.blocks(host, session.start) for host in there)

    def is_free(self, host: Host, start: int) -> bool:
        taken = self.bookings(host, start) or self.blocks(host, start) or self.full(host, start)
        return self.is_on_grid(host, start) and not taken

    def is_on_grid(self, host: Host, start: int) -> bool:
        return start in self._on_grid.get(host.subject_no, ())

    def is_open(self, subject: Host | Unit, start: int) -> bool:
        walked = self._walked.get(subject.subject_no)
        return walked is not None and walked.is_open(start, self.minutes)

    def bookings(self, subject: Host | Unit, start: int) -> list[Taken]:
        """The bookings and sessions in the way there."""
        return [each for each in self._in_the_way(subject, start) if each.calendar_id is None]

    def blocks(self, host: Host, start: int) -> list[Taken]:
        return [each for each in self._in_the_way(host, start) if each.calendar_id]

    def _in_the_way(self, subject: Host | Unit, start: int) -> list[Taken]:
        buffers = (self.rules.buffer_before_minutes * 60, self.rules.buffer_after_minutes * 60)
        wanted = Taken(subject.subject_no, start, start + self.minutes * 60, *buffers)
        there = [each for each in self.world.taken if each.subject_no == subject.subject_no]
        return [each for each in there if not apart(wanted, each)]

    def full(self, host: Host, start: int) -> list[Period]:
        """The full periods that a start lies in, by the date at the host's."""
        if host.hours is None:
            return []
        day = datetime.fromtimestamp(start, ZoneInfo(host.hours.zone)).date()
        own = {
            "day": day,
            "week": date.fromisocalendar(*day.isocalendar()[:2], 1),
            "month": date(day.year, day.month, 1),
        }
        return [(period, first) for period, first in host.full if own[period] == first]

    def free_units(self, need: Requirement, start: int) -> list[Unit]:
        return [
            unit
            for unit in self.world.inputs.units
            if unit.kind == need.kind
            and unit.capacity >= need.min_capacity
            and (need.location_id is None or need.location_id == unit.location_id)
            and self.is_open(unit, start)
            and not self.bookings(unit, start)
        ]

    def ways(self, start: int) -> list[tuple[Unit, ...]]:
        """Every way to give each requirement a unit of its own; without requirements, the one way to give nothing."""
        free = [self.free_units(need, start) for need in self.rules.requires]
        return [way for way in product(*free) if len({unit.subject_no for unit in way}) == len(way)]

    def away(self) -> list[Host]:
        """Who would have come, had routing let them."""
        among, hosts = self.world.asking["among"], self.world.inputs.hosts
        if self.rules.assignment != "round_robin":
            hosts = () if self.hosts else hosts[:1]
        return [host for host in hosts if among is not None and host.user_id not in among]

    def reasons(self, start: int) -> set[Reason]:
        """Each rule that refuses the start, by itself."""
        rules, session = self.rules, self.session(start)
        found = self.of_hosts(start)
        if not rules.active:
            found.add(("inactive",))
        if self.too_soon(start):
            found.add(("notice",))
        if self.too_far(start):
            found.add(("window",))
        found |= {("routing", _user(host)) for host in self.away() if not self.of_host(host, start)}
        if session is not None and session.taken >= rules.seats:
            found.add(("seats_full",))
        elif session is not None and not self.is_ours(session):
            found.add(("busy_booking",))
        elif session is None and not self.ways(start):
            found |= {("resource_busy", need.kind, str(need.min_capacity)) for need in self._lacking(start)}
        return found

    def of_hosts(self, start: int) -> set[Reason]:
        """What of the hosts speaks against a start: of everybody who is needed. In a turn that is nobody, as long as
        one is free; in a session it is whoever has it."""
        session, hosts = self.session(start), self.hosts
        each = [self.of_host(host, start) for host in hosts]
        if self.rules.assignment == "round_robin" and session is not None:
            may_join = session.taken < self.rules.seats and self.is_ours(session)
            each = [self.of_host(host, start) for host in hosts if may_join and host.user_id in session.host_ids]
        elif self.rules.assignment == "round_robin" and not all(each):
            each = []
        return set().union(*each)

    def of_others(self, start: int) -> set[Reason]:
        """What is true of hosts of a turn who are not asked to join a session: it may be said as well."""
        in_turn = self.rules.assignment == "round_robin" and self.session(start) is not None
        return set().union(*(self.of_host(host, start) for host in self.hosts if in_turn))

    def _lacking(self, start: int) -> list[Requirement]:
        """What nothing is free for; or everything, where there is too little for all."""
        requires = list(self.rules.requires)
        return [need for need in requires if not self.free_units(need, start)] or requires

    def of_host(self, host: Host, start: int) -> set[Reason]:
        """What of one host speaks against a start. Beside others in a session, only hours and calendars do."""
        if not self.is_on_grid(host, start):
            return {(self.closed_by(host, start), _user(host))}
        found: set[Reason] = {
            ("busy_calendar", _user(host), encode(Kind.CALENDAR, each.calendar_id))
            for each in self.blocks(host, start)
            if each.calendar_id
        }
        if self.session(start) is not None:
            return found
        found |= {(f"cap_{period}", _user(host), first.isoformat()) for period, first in self.full(host, start)}
        for each in self.bookings(host, start):
            meets = each.start < start + self.minutes * 60 and start < each.end
            assert each.booking_id is not None
            booking = encode(Kind.BOOKING, each.booking_id)
            found.add(("busy_booking" if meets else "buffer", _user(host), booking))
        return found

    def closed_by(self, host: Host, start: int) -> str:
        """A date's override, where the weekly hours alone would have been open all the way."""
        if host.hours is None or self.is_open(host, start):
            return "outside_schedule"
        if host.subject_no not in self._plain:
            plain = Hours(host.hours.zone, host.hours.weekly, {}, host.hours.valid_from, host.hours.valid_until)
            self._plain[host.subject_no] = self._walk(plain)
        weekly = self._plain[host.subject_no].is_open(start, self.minutes)
        return "override_closed" if weekly else "outside_schedule"


def _user(host: Host) -> str:
    return encode(Kind.USER, host.user_id)
