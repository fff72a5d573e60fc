"""Plain inputs of the availability engine, to be changed where a test needs them otherwise."""

import dataclasses
from typing import Any
from uuid import UUID

from app.domain.availability.caps import Caps
from app.domain.availability.inputs import FIXED, Host, Inputs, Rules, Unit
from app.domain.availability.windows import Hours, Window

NINE_TO_FIVE: tuple[Window, ...] = ((540, 1_020),)

_RULES = Rules(
    event_type_id=UUID(int=0xE0),
    code="evt",
    title="Intro",
    active=True,
    duration_minutes=30,
    durations_minutes=(30,),
    longest_minutes=30,
    slot_interval_minutes=None,
    buffer_before_minutes=0,
    buffer_after_minutes=0,
    minimum_notice_minutes=0,
    booking_window_days=None,
    caps=Caps(),
    seats=1,
    requires_confirmation=False,
    auto_complete=True,
    assignment=FIXED,
    questions=(),
    routing_rules=(),
    services=(),
    requires=(),
    location=None,
    config_version=1,
)

_HOST = Host(
    user_id=UUID(int=0),
    subject_no=0,
    name="Ada",
    hours=Hours("Etc/UTC", (NINE_TO_FIVE,) * 7),
    wording=(),
    schedule_id=None,
    schedule_version=1,
    held=(),
    busy=(),
    full=(),
    weight=1,
    priority=0,
    assigned_count=0,
    last_assigned_at=None,
)

_UNIT = Unit(
    resource_id=UUID(int=0xF0),
    name="Room",
    unit_no=1,
    subject_no=100,
    kind="room",
    capacity=1,
    location_id=UUID(int=0xA0),
    hours=Hours("Etc/UTC", (((0, 1_440),),) * 7),
    wording=(),
    schedule_id=None,
    schedule_version=None,
    held=(),
)


def rules_of(**facts: Any) -> Rules:
    """An event type of one host for 30 minutes."""
    return dataclasses.replace(_RULES, **facts)


def host_of(number: int, **facts: Any) -> Host:
    """A host from nine to five UTC, with nothing to do. number: makes the ids."""
    return dataclasses.replace(_HOST, **{**facts, "user_id": UUID(int=number), "subject_no": number})


def unit_of(number: int, **facts: Any) -> Unit:
    """A unit that is always open. number: its subject's."""
    return dataclasses.replace(_UNIT, subject_no=number, **facts)


def inputs_of(*hosts: Host, **rules: Any) -> Inputs:
    return Inputs(rules_of(**rules), hosts, (), {}, ())
