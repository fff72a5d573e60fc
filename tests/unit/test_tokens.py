"""The links that attendees hold: proven by the organization's secret, for one booking and one purpose only."""

from uuid import UUID

import pytest

from app.domain.bookings.tokens import Purpose, mint, parse, proves

ORG, BOOKING = UUID(int=1 << 100), UUID(int=1 << 101)
SECRET = b"s" * 32


def test_a_token_proves_its_booking_and_purpose_only() -> None:
    token = mint(SECRET, Purpose.CANCEL, ORG, BOOKING, 0)
    parsed = parse(token, Purpose.CANCEL)
    assert parsed is not None
    org_id, booking_id, proof = parsed
    assert (org_id, booking_id) == (ORG, BOOKING)
    assert proves(proof, SECRET, Purpose.CANCEL, BOOKING, 0)
    assert not proves(proof, SECRET, Purpose.RESCHEDULE, BOOKING, 0)
    assert not proves(proof, SECRET, Purpose.CANCEL, ORG, 0)
    assert not proves(proof, SECRET, Purpose.CANCEL, BOOKING, 1)
    assert not proves(proof, b"t" * 32, Purpose.CANCEL, BOOKING, 0)


def test_confirm_tokens_are_never_mistaken_for_others() -> None:
    confirm = mint(SECRET, Purpose.CONFIRM, ORG, BOOKING, 0)
    assert confirm.startswith("cft_")
    assert parse(confirm, Purpose.CANCEL) is None
    assert parse(mint(SECRET, Purpose.CANCEL, ORG, BOOKING, 0), Purpose.CONFIRM) is None


def test_a_token_has_one_meaning() -> None:
    """Whatever purposes its form fits, it proves one of them."""
    for purpose in Purpose:
        token = mint(SECRET, purpose, ORG, BOOKING, 3)
        parsed = {each: found for each in Purpose if (found := parse(token, each)) is not None}
        assert purpose in parsed
        assert len(set(parsed.values())) == 1
        assert [each for each in parsed if proves(parsed[each][2], SECRET, each, BOOKING, 3)] == [purpose]
        assert not token.startswith("bkg_"), "nor is it an id"


def test_only_the_hosts_link_outlives_a_new_version() -> None:
    for purpose in Purpose:
        parsed = parse(mint(SECRET, purpose, ORG, BOOKING, 0), purpose)
        assert parsed is not None
        assert proves(parsed[2], SECRET, purpose, BOOKING, 1) == (purpose is Purpose.CONFIRM)


@pytest.mark.parametrize("text", ["", "x", "a" * 70, "cft_", "\0" * 70, "ü" * 70, "A" * 71, "A" * 1000, "+/" * 35])
def test_what_is_no_token_is_none_or_unproven(text: str) -> None:
    parsed = parse(text, Purpose.CANCEL)
    assert parsed is None or not proves(parsed[2], SECRET, Purpose.CANCEL, parsed[1], 0)
