"""Slot tokens: what comes back is what was listed, and nothing else comes back at all."""

import base64
import string
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import InvalidInput
from app.domain.availability.inputs import Inputs
from app.domain.availability.slot_tokens import SlotToken, expiry, minter_of, read_token, service_of
from tests.unit.engine import host_of, inputs_of

SECRET = b"s" * 32
NOW = datetime(2026, 5, 1, 12, 34, 56, 789, tzinfo=UTC)
START = 1_777_629_600
SERVICES = ({"id": "cut", "duration_minutes": 20}, {"id": "colour", "duration_minutes": 90})
LETTERS = string.ascii_letters + string.digits + "-_"


def inputs_with(hosts: int, version: int = 7) -> Inputs:
    """With services, and hosts whose ids begin with 1."""
    return inputs_of(*map(host_of, range(1, hosts + 1)), services=SERVICES, config_version=version)


def token_for(hosts: int = 3, bits: int = 0b101, service: str | None = None, secret: bytes = SECRET) -> str:
    return minter_of(secret, inputs_with(hosts), 30, service, NOW).mint(START, bits).decode()


def refused(text: str, secret: bytes = SECRET) -> bool:
    """Whether it is, and by nothing but InvalidInput."""
    try:
        read_token(secret, text)
    except InvalidInput:
        return True
    return False


def packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw_of(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


@given(
    event_type=st.uuids(),
    start=st.integers(-(2**40), 2**40),
    minutes=st.integers(1, 10_080),
    service=st.sampled_from([None, "cut", "colour"]),
    version=st.integers(0, 2**62),
    hosts=st.integers(0, 100),
    data=st.data(),
)
def test_what_comes_back_is_what_was_listed(
    event_type: UUID, start: int, minutes: int, service: str | None, version: int, hosts: int, data: st.DataObject
) -> None:
    people = tuple(map(host_of, range(1, hosts + 1)))
    inputs = inputs_of(*people, event_type_id=event_type, services=SERVICES, config_version=version)
    bits = data.draw(st.integers(0, 2**hosts - 1))
    text = minter_of(SECRET, inputs, minutes, service, NOW).mint(start, bits).decode()
    token = read_token(SECRET, text)
    place = None if service is None else ["cut", "colour"].index(service)
    assert token == SlotToken(event_type, start, minutes, place, version, expiry(NOW), bits)
    assert service_of(token, inputs.rules) == service
    assert token.among(people) == {UUID(int=number + 1) for number in range(hosts) if bits & (1 << number)}
    assert len(text) < 1_024
    assert set(text) <= set(LETTERS)


def test_a_hundred_hosts_stay_far_below_one_kibibyte() -> None:
    assert len(token_for(100, 2**100 - 1, "colour")) < 256


def test_one_minter_makes_each_start_its_own_token() -> None:
    minter = minter_of(SECRET, inputs_with(3), 30, None, NOW)
    tokens = [minter.mint(START + 1_800 * number, 0b111).decode() for number in range(20)]
    assert [read_token(SECRET, each).start for each in tokens] == [START + 1_800 * number for number in range(20)]
    assert minter.mint(START, 0b111).decode() == tokens[0]


@given(st.datetimes(datetime(2020, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_token_is_good_for_one_hour_to_two_and_the_same_for_an_hour(now: datetime) -> None:
    until = expiry(now)
    assert 3_600 < until - now.timestamp() <= 7_200
    assert until % 3_600 == 0
    assert expiry(now.replace(minute=0, second=0, microsecond=0)) == until
    assert expiry(now + timedelta(hours=1)) == until + 3_600


# one to four hosts' bits have a byte of their own, nine have two, none has none: each way a text of 64 letters can end
@pytest.mark.parametrize("hosts", [0, 3, 9, 17])
def test_every_changed_letter_is_refused(hosts: int) -> None:
    token = token_for(hosts, 0)
    read_token(SECRET, token)
    accepted = [
        (number, letter)
        for number in range(len(token))
        for letter in LETTERS + "+/=. \n\0é"
        if letter != token[number] and not refused(token[:number] + letter + token[number + 1 :])
    ]
    assert accepted == []


@pytest.mark.parametrize("hosts", [0, 3, 9])
def test_every_changed_bit_is_refused(hosts: int) -> None:
    raw = raw_of(token_for(hosts, 0))
    for number in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[number // 8] ^= 1 << number % 8
        assert refused(packed(bytes(changed)))


@pytest.mark.parametrize("hosts", [0, 3, 9])
def test_a_token_that_was_cut_or_added_to_is_refused(hosts: int) -> None:
    token = token_for(hosts, 0)
    raw = raw_of(token)
    assert all(refused(token[:number]) for number in range(len(token)))
    assert all(refused(token[number:]) for number in range(1, len(token)))
    assert all(refused(token + more) for more in ("A", "AA", "AAA", "AAAA", "=", "==", "\n", " ", "\0", token))
    assert all(refused(more + token) for more in ("A", "AAAA", " ", "\n", "="))
    assert all(refused(packed(raw[:number] + b"\0" + raw[number:])) for number in range(len(raw) + 1))


@given(st.binary(min_size=0, max_size=64))
def test_a_token_of_another_secret_is_refused(secret: bytes) -> None:
    assert refused(token_for(secret=secret)) == (secret != SECRET)
    assert refused(token_for(), secret) == (secret != SECRET)


@settings(max_examples=settings().max_examples * 5)
@given(st.text() | st.text(LETTERS + "=", max_size=200) | st.binary(max_size=200).map(packed))
def test_garbage_is_refused_and_nothing_worse(text: str) -> None:
    assert refused(text)


def test_the_refusal_names_the_field() -> None:
    with pytest.raises(InvalidInput) as found:
        read_token(SECRET, "abc")
    assert [(each.field, each.code) for each in found.value.errors] == [("slot_token", "invalid_value")]


@pytest.mark.parametrize("text", ["\ud800", "A" * 1_025, "A" * 2_000_000, "é", "AAAA" * 20, "=", "====", "A" * 80])
def test_hard_cases_of_garbage(text: str) -> None:
    assert refused(text)


@given(st.binary(max_size=40), st.integers(0, 61))
def test_a_mac_of_its_own_does_not_make_a_token(more: bytes, number: int) -> None:
    """Parts of a true token, put together otherwise."""
    raw = raw_of(token_for())
    other = raw[:number] + more + raw[number:]
    assert refused(packed(other)) == (other != raw)
