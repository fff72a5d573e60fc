"""A receiver that only fails is left alone, for longer and longer, but never for long."""

from datetime import UTC, datetime, timedelta

from workers.circuit import Circuit

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def failed(circuit: Circuit, count: int, now: datetime = NOW) -> Circuit:
    for _ in range(count):
        circuit.failed(now, None)
    return circuit


def test_a_few_failures_do_not_open_it() -> None:
    assert not failed(Circuit(), 4).is_trying
    circuit = failed(Circuit(), 4)
    circuit.succeeded()
    assert not failed(circuit, 4).is_trying


def test_five_in_a_row_do() -> None:
    circuit = failed(Circuit(), 5)
    assert circuit.is_resting(NOW + 0.9 * SECOND)
    assert circuit.is_trying
    assert not circuit.is_resting(NOW + SECOND)


def test_what_was_under_way_when_it_opened_makes_it_no_longer() -> None:
    circuit = failed(Circuit(), 20)
    assert not circuit.is_resting(NOW + SECOND)


def test_each_try_that_fails_doubles_the_rest_up_to_half_a_minute() -> None:
    circuit, now, rests = failed(Circuit(), 5), NOW, []
    for _ in range(7):
        assert circuit.until is not None
        rests.append(circuit.until - now)
        now = circuit.until
        circuit.failed(now, None)
    assert [rest.total_seconds() for rest in rests] == [1, 2, 4, 8, 16, 30, 30]


def test_a_success_closes_it_and_forgets() -> None:
    circuit = failed(Circuit(), 12, NOW)
    circuit.succeeded()
    assert not circuit.is_trying
    assert not failed(circuit, 4).is_trying
    assert failed(circuit, 1).is_resting(NOW + 0.9 * SECOND)
    assert not circuit.is_resting(NOW + SECOND)


def test_what_a_receiver_asks_for_holds_at_once_within_reason() -> None:
    circuit = Circuit()
    circuit.failed(NOW, 120)
    assert circuit.is_resting(NOW + 119 * SECOND)
    assert not circuit.is_resting(NOW + 120 * SECOND)
    circuit.failed(NOW, 5)
    assert circuit.is_resting(NOW + 119 * SECOND), "a shorter wish does not shorten"
    circuit = Circuit()
    circuit.failed(NOW, 86_400)
    assert not circuit.is_resting(NOW + 300 * SECOND), "it is asked every five minutes all the same"
