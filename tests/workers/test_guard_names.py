"""What the guard's resolver remembers: not for longer, nor of more names, than it has to."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pycares
import pytest

from app.domain.webhooks import names as room
from app.domain.webhooks.names import Names
from tests.guarding import NAME, PUBLIC
from tests.nameserver import Nameserver, answering
from tests.processes import free_port

HOUR = 3600
OTHER = "127.0.0.9"


@pytest.fixture
async def names() -> AsyncIterator[Nameserver]:
    async with answering() as server:
        yield server


@pytest.fixture(params=["chosen", "system"])
async def looking(
    request: pytest.FixtureRequest, names: Nameserver, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Names]:
    """By the name servers that the operator named, and by the system's."""
    chosen: tuple[str, ...] = (names.address,)
    if request.param == "system":
        monkeypatch.setattr(pycares, "Channel", on_a_system_that_asks(names.address))
        chosen = ()
    made = Names(chosen)
    yield made
    made.close()


def on_a_system_that_asks(nameserver: str) -> Callable[..., pycares.Channel]:
    """As if the system's file said so. (`resolvconf_path` is freed before c-ares reads it.)"""
    make = pycares.Channel

    def channel(*, servers: Sequence[str], **options: Any) -> pycares.Channel:
        return make(servers=servers or [nameserver], **options)

    return channel


async def address_of(looking: Names, name: str = NAME) -> str:
    ((family, address),) = await looking.look_up(name)
    assert family == socket.AF_INET
    return address


async def test_a_change_is_seen_in_time_whatever_the_ttl(
    looking: Names, names: Nameserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.answer(NAME, PUBLIC, ttl=HOUR)
    assert await address_of(looking) == PUBLIC
    names.answer(NAME, OTHER, ttl=HOUR)
    assert await address_of(looking) == PUBLIC, "for some seconds"
    monkeypatch.setattr(room, "_KEPT_SECONDS", 0.1)
    await asyncio.sleep(0.2)
    assert await address_of(looking) == OTHER


async def test_a_name_that_was_not_there_is_asked_for_again(
    looking: Names, names: Nameserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(room.NameNotResolved):
        await looking.look_up(NAME)
    names.answer(NAME, PUBLIC, ttl=HOUR)
    monkeypatch.setattr(room, "_KEPT_SECONDS", 0.0)
    assert await address_of(looking) == PUBLIC


async def test_what_is_remembered_is_bounded(looking: Names, names: Nameserver) -> None:
    """20,000 names of sixty addresses each once were 178 MiB; here 4,000 would be 35."""
    addresses = [f"127.0.1.{number}" for number in range(1, 61)]
    for number in range(4000):
        names.answer(f"c{number}.test", *addresses, ttl=HOUR)
    before = resident_mib()
    for first in range(0, 4000, 20):
        await asyncio.gather(*(looking.look_up(f"c{number}.test") for number in range(first, first + 20)))
    assert resident_mib() - before < 20
    assert names.asked("c0.test") == 1
    await looking.look_up("c0.test")
    assert names.asked("c0.test") == 2, "it was forgotten"


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


async def test_what_is_being_looked_up_goes_on_while_the_rest_is_forgotten(
    looking: Names, names: Nameserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_KEPT_ANSWERS", 1)
    slow = [f"slow{number}.test" for number in range(20)]
    for name in slow:
        names.answer(name, PUBLIC, ttl=HOUR, delay_seconds=0.6)
    late = [asyncio.create_task(looking.look_up(name)) for name in slow]
    for number in range(100):
        names.answer(f"quick{number}.test", OTHER, ttl=HOUR)
        assert await address_of(looking, f"quick{number}.test") == OTHER
    found = await asyncio.gather(*late)
    assert found == [[(socket.AF_INET, PUBLIC)]] * 20
    assert {names.asked(name) for name in slow} == {1}, "nor is it asked for again"


async def test_when_nobody_answers_the_system_is_asked_anew_whom_to_ask(
    names: Nameserver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A laptop in another network; a name server that the operator named stays."""
    system = tmp_path / "resolv.conf"
    monkeypatch.setattr(pycares, "Channel", on_a_system_that_asks(f"127.0.0.1:{free_port()}"))
    monkeypatch.setattr(room, "_RESOLV_CONF", system)
    names.answer(NAME, PUBLIC)
    by_system, chosen = Names(()), Names((f"127.0.0.1:{free_port()}",))
    try:
        for useless in ("", "nameserver\n", "nameserver nonsense\n"):
            system.write_text(useless)
            with pytest.raises(room.NameNotResolved):
                await by_system.look_up(NAME)
        system.write_text(f"# changed\nnameserver {names.address}\n")
        for looking in (by_system, chosen):
            with pytest.raises(room.NameNotResolved):
                await looking.look_up(NAME)
        assert await address_of(by_system) == PUBLIC
        with pytest.raises(room.NameNotResolved):
            await chosen.look_up(NAME)
    finally:
        by_system.close()
        chosen.close()


async def test_which_name_server_is_silent_is_not_forgotten(names: Nameserver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_KEPT_ANSWERS", 1)
    monkeypatch.setattr(room, "_SECONDS", 0.3)
    async with answering() as silent:
        looking = Names((silent.address, names.address))
        try:
            for number in range(40):
                silent.be_silent(f"c{number}.test")
                names.answer(f"c{number}.test", PUBLIC, ttl=HOUR)
                assert await address_of(looking, f"c{number}.test") == PUBLIC
        finally:
            looking.close()
        assert sum(kind == 1 for _, kind in silent.questions) < 20
