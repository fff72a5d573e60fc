"""Every check of the audit can fail: a bad book of each kind, beside a good one."""

import hashlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app.domain.webhooks.signing import new_signing_secret, standard_signature, x_signature
from tests.chaos import books, receivers
from tests.chaos.audit import GONE_SECONDS, state
from tests.chaos.books import LIBRARIES, Found, Held, Ledger, Logged, Receipt, Verifier
from tests.chaos.receivers import Receiver
from tests.chaos.report import grid
from tests.chaos.scenario import options
from tests.chaos.stage import complaints

NOON = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)
BODY = b'{"id":"evn_1","type":"booking.created"}'


def booking(number: int, status: str = "SCHEDULED", start: str = "2026-06-03T12:00:00Z") -> dict[str, Any]:
    return {"id": f"bkg_{number}", "status": status, "start_time": start}


def event(number: int, booking_id: str, sequence: int, event_type: str = "booking.created") -> Logged:
    digest = hashlib.sha256(str(number).encode()).digest()
    return Logged(f"evn_{number}", event_type, booking_id, sequence, NOON, digest)


def receipt(number: int, at: float, *, accepted: bool = True, delivery: str = "", content: str = "") -> Receipt:
    digest = hashlib.sha256((content or str(number)).encode()).digest()
    return Receipt(f"evn_{number}", delivery or f"dlv_{number}", digest, at, at, accepted)


@pytest.fixture
def ledger() -> Ledger:
    """One that was renamed, and one that was moved and then cancelled."""
    ledger = Ledger()
    ledger.booked(booking(1))
    ledger.stepped(booking(1), "booking.updated")
    ledger.booked(booking(2))
    ledger.moved("bkg_2", booking(3, "RESCHEDULED", "2026-06-03T14:00:00Z"))
    ledger.stepped(booking(3, "CANCELLED", "2026-06-03T14:00:00Z"), "booking.cancelled")
    return ledger


@pytest.fixture
def found() -> dict[str, Found]:
    return {
        "bkg_1": Found("SCHEDULED", "2026-06-03T12:00:00Z", None),
        "bkg_2": Found("CANCELLED", "2026-06-03T12:00:00Z", "bkg_3"),
        "bkg_3": Found("CANCELLED", "2026-06-03T14:00:00Z", None),
    }


@pytest.fixture
def events() -> list[Logged]:
    return [
        event(1, "bkg_1", 1),
        event(2, "bkg_2", 1),
        event(3, "bkg_1", 2, "booking.updated"),
        event(4, "bkg_3", 1, "booking.rescheduled"),
        event(5, "bkg_3", 2, "booking.cancelled"),
    ]


def test_good_books_have_no_complaints(ledger: Ledger, found: dict[str, Found], events: list[Logged]) -> None:
    receipts = [receipt(number, number) for number in range(1, 6)]
    assert books.lost(ledger, found) == books.unpromised(ledger, found) == books.gaps(ledger, events) == []
    assert books.missing(events, receipts) == books.altered(events, receipts) == []
    assert books.disordered(events, receipts) == books.overtaken(events, receipts) == []
    assert books.duplicates(receipts) == 0


@pytest.mark.parametrize(
    "instead",
    [
        None,
        Found("CANCELLED", "2026-06-03T12:00:00Z", None),
        Found("SCHEDULED", "2026-06-03T12:15:00Z", None),
        Found("SCHEDULED", "2026-06-03T12:00:00Z", "bkg_3"),
    ],
)
def test_a_lost_booking(ledger: Ledger, found: dict[str, Found], instead: Found | None) -> None:
    """Not there, in another state, at another time, or moved by nobody."""
    del found["bkg_1"]
    if instead is not None:
        found["bkg_1"] = instead
    assert [text[:5] for text in books.lost(ledger, found)] == ["bkg_1"]


def test_a_start_that_the_suite_itself_has_moved_is_not_compared(ledger: Ledger, found: dict[str, Found]) -> None:
    ledger.promises["bkg_1"].start = None
    assert books.lost(ledger, found | {"bkg_1": Found("SCHEDULED", "2020-01-01T00:00:00Z", None)}) == []


def test_a_move_that_only_half_happened(ledger: Ledger, found: dict[str, Found]) -> None:
    found["bkg_2"] = Found("SCHEDULED", "2026-06-03T12:00:00Z", None)
    assert len(books.lost(ledger, found)) == 1


def test_a_booking_that_nobody_was_told_of(ledger: Ledger, found: dict[str, Found]) -> None:
    assert books.unpromised(ledger, [*found, "bkg_9"]) == ["bkg_9 exists, and no answer told of it"]


@pytest.mark.parametrize("winners", [0, 2])
def test_a_slot_with_two_winners_or_none(ledger: Ledger, winners: int) -> None:
    ledger.duels = [1, winners, 1]
    assert books.undecided(ledger) == [f"{winners} of two requests won the same slot"]


def held(host: str, start: int, minutes: int, number: int) -> Held:
    begins = NOON + timedelta(minutes=start)
    return Held(host, begins, begins + timedelta(minutes=minutes), f"bkg_{number}")


def test_an_overlap() -> None:
    """Whatever the order, also within a long one that ended in between others; touching and other hosts are none."""
    assert books.overlapping([held("a", 15, 15, 2), held("a", 0, 15, 1), held("b", 5, 15, 3)]) == []
    assert len(books.overlapping([held("a", 10, 15, 2), held("a", 0, 15, 1)])) == 1
    assert len(books.overlapping([held("a", 0, 60, 1), held("a", 5, 5, 2), held("a", 30, 5, 3)])) == 2


def test_a_gap(ledger: Ledger, events: list[Logged]) -> None:
    missing_first = [each for each in events if each.id != "evn_1"]
    assert [text[:5] for text in books.gaps(ledger, missing_first)] == ["bkg_1", "bkg_1"]
    missing_last = [each for each in events if each.id != "evn_3"]
    assert [text[:5] for text in books.gaps(ledger, missing_last)] == ["bkg_1"]


def test_an_event_that_is_there_twice_or_is_nobodys(ledger: Ledger, events: list[Logged]) -> None:
    assert any("2 times" in text for text in books.gaps(ledger, [*events, events[0]]))
    again = event(6, "bkg_1", 3, "booking.updated")
    assert [text[:5] for text in books.gaps(ledger, [*events, again])] == ["bkg_1"]
    assert books.gaps(ledger, [*events, event(7, "bkg_9", 1)]) == ["bkg_9 has events, and no answer told of it"]


def test_an_event_that_never_arrived(events: list[Logged]) -> None:
    """To be refused is not to arrive."""
    receipts = [receipt(number, number, accepted=number != 4) for number in (1, 2, 3, 4)]
    assert [text[:5] for text in books.missing(events, receipts)] == ["evn_4", "evn_5"]


def test_other_bytes_another_delivery_and_an_event_that_never_happened(events: list[Logged]) -> None:
    assert "other bytes" in books.altered(events, [receipt(1, 1, content="x")])[0]
    assert "dlv_1 and as dlv_9" in books.altered(events, [receipt(1, 1), receipt(1, 2, delivery="dlv_9")])[0]
    assert "not in the log" in books.altered(events, [receipt(9, 1)])[0]


def test_duplicates_are_what_was_accepted_before() -> None:
    """A retry after a refusal is none."""
    receipts = [receipt(1, 1, accepted=False), receipt(1, 2), receipt(1, 3), receipt(1, 4, accepted=False)]
    assert books.duplicates(receipts) == 2


def test_order_is_that_of_the_first_attempts(events: list[Logged]) -> None:
    """Number 2 before number 1 is out of order; number 1 refused, and accepted after number 2, was overtaken."""
    swapped = [receipt(3, 1), receipt(1, 2)]
    assert len(books.disordered(events, swapped)) == len(books.overtaken(events, swapped)) == 1
    retried = [receipt(1, 1, accepted=False), receipt(3, 2), receipt(1, 3)]
    assert books.disordered(events, retried) == []
    assert len(books.overtaken(events, retried)) == 1


ON = {"active": True, "disabled_reason": None}
GONE = {"active": False, "disabled_reason": "gone"}


def test_a_receiver_that_was_given_up() -> None:
    receiver = Receiver("well", receivers.well)
    assert state(receiver, ON) == []
    assert state(receiver, {"active": False, "disabled_reason": "failing"}) == ["it was switched off: failing"]


def test_one_that_is_gone_and_is_asked_again() -> None:
    """What a killed worker could not write down may come once more."""
    receiver = Receiver("gone", receivers.gone, lives=False, left=True)
    receiver.receipts = [receipt(1, 100.0, accepted=False), receipt(1, 99.9 + GONE_SECONDS, accepted=False)]
    assert state(receiver, GONE) == []
    assert len(state(receiver, ON)) == 1
    receiver.receipts.append(receipt(2, 100.1 + GONE_SECONDS, accepted=False))
    assert [text[:5] for text in state(receiver, GONE)] == ["evn_2"]
    assert len(state(receiver, ON)) == 2


def test_one_that_is_gone_and_got_nothing() -> None:
    receiver = Receiver("gone", receivers.gone, lives=False, left=True)
    assert len(state(receiver, ON)) == 1
    assert state(receiver, GONE) == []


async def called(receiver: Receiver, url: str, verb: str = "POST") -> None:
    await receiver.start()
    secret = new_signing_secret()
    receiver.subscribed("whk_1", secret)
    body = BODY.replace(b"}", b',"timestamp":"2026-06-03T12:00:00Z"}')
    signed = {
        "X-Signature": x_signature([secret], int(time.time()), body),
        "X-Event-Id": "evn_1",
        "X-Delivery-Id": "dlv_1",
        "webhook-id": "evn_1",
        "webhook-timestamp": str(int(time.time())),
        "webhook-signature": standard_signature([secret], "evn_1", int(time.time()), body),
    }
    try:
        async with aiohttp.ClientSession() as http, http.request(verb, url, data=body, headers=signed):
            pass
    finally:
        await receiver.stop()


@pytest.mark.parametrize("verb", ["POST", "GET"])
async def test_a_redirect_that_was_followed(verb: str) -> None:
    """As whoever follows one would call: with the same request, or with a GET."""
    receiver = Receiver("well", receivers.well)
    await called(receiver, receiver.url)
    assert (books.redirected(receiver.elsewhere), receiver.faults, len(receiver.receipts)) == ([], [], 1)
    await called(receiver, receiver.other_url, verb)
    assert books.redirected(receiver.elsewhere) == ["a redirect was followed"]


@pytest.mark.parametrize("committed", [True, False])
async def test_an_event_before_its_commit(committed: bool) -> None:
    early: list[str] = []

    async def is_committed(event_id: str) -> bool:
        assert event_id == "evn_1"
        return committed

    receiver = Receiver("looks", receivers.looking_up(is_committed, early))
    await called(receiver, receiver.url)
    wanted = [] if committed else ["evn_1 was delivered and not to be found"]
    assert books.premature(early) == wanted


def headers(secret: str, moment: int) -> dict[str, str]:
    return {
        "X-Signature": x_signature([secret], moment, BODY),
        "webhook-id": "evn_1",
        "webhook-timestamp": str(moment),
        "webhook-signature": standard_signature([secret], "evn_1", moment, BODY),
    }


def test_a_bad_signature() -> None:
    """Of another secret, of other bytes, too old, or none at all: no library takes it."""
    secret, now = new_signing_secret(), int(time.time())
    verifier, good = Verifier(secret), headers(secret, now)
    assert verifier.refusing(BODY, good) == []
    assert verifier.refusing(BODY, headers(new_signing_secret(), now)) == list(LIBRARIES)
    assert verifier.refusing(BODY + b" ", good) == list(LIBRARIES)
    assert verifier.refusing(BODY, headers(secret, now - 600)) == list(LIBRARIES)
    assert verifier.refusing(BODY, {}) == list(LIBRARIES)
    assert verifier.refusing(BODY, good | {"X-Signature": "t=1"}) == ["stripe"]
    assert verifier.refusing(BODY, good | {"webhook-signature": "v1,AAAA"}) == ["standardwebhooks", "svix"]
    assert verifier.refusing(BODY, good | {"webhook-signature": "v1"}) == ["standardwebhooks", "svix"]


def test_a_log_with_errors_in_it(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    good = '{"event":"database_away","level":"warning"}\n'
    log.write_text(good)
    assert complaints(log) == []
    bad = ["Traceback (most recent call last):", '{"event":"unexpected","level":"error"}', "ERROR:  deadlock detected"]
    log.write_text(good + "\n".join(bad))
    assert complaints(log) == bad


def test_what_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert options(None).seconds is None
    wanted = options("--seconds 60 --seed 7 --report chaos.txt")
    assert (wanted.seconds, wanted.seed, wanted.report) == (60.0, 7, Path("chaos.txt"))
    assert options("--seed 7").seconds == 300.0
    for given in ("--short --seed 7", "--seconds 60 --seed 7", "--seconds 0.5 --seed 9"):
        assert options(given).again == given
        assert options(options(given).again) == options(given)
    assert options(None).again.startswith("--short --seed ")
    with pytest.raises(SystemExit):
        options("--sconds 60")
    assert "unrecognized arguments: --sconds" in capsys.readouterr().err


def test_a_table_has_its_columns_one_below_the_other() -> None:
    assert grid([("a", "b"), ("long", "c")]) == "a     b\n----  -\nlong  c"
