"""The ground: ids, times, settings, secrets, SQL files. No I/O beyond the environment."""

import os
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from cryptography.fernet import Fernet

from app.core import ids, sql, times
from app.core.ids import Kind
from app.core.recent import Recent
from app.core.settings import ConfigurationError, Settings, load_settings
from app.core.vault import SealBroken, Vault, derive, digest
from tests.support import SECRET_KEY


def test_ids_survive_the_wire_and_sort_by_creation() -> None:
    made = [ids.new_id() for _ in range(100)]
    assert made == sorted(made)
    for kind in Kind:
        text = ids.encode(kind, made[0])
        assert text.startswith(f"{kind}_")
        assert ids.decode(kind, text) == made[0]
    assert made[0].version == 7


@pytest.mark.parametrize(
    "text",
    ["", "bkg", "bkg_", "evt_01h2xcejqtf2nbrexx3vqjhp41", "bkg_01H2XCEJQTF2NBREXX3VQJHP41",
     "bkg_8zzzzzzzzzzzzzzzzzzzzzzzzz",
     "bkg_01h2xcejqtf2nbrexx3vqjhp4", "bkg_01h2xcejqtf2nbrexx3vqjhp411", "bkg_01h2xcejqtf2nbrexx3vqjhpu1",
     "bkg_\0", "101"],
)  # fmt: skip
def test_malformed_ids_are_none(text: str) -> None:
    assert ids.decode(Kind.BOOKING, text) is None


def test_a_known_typeid() -> None:
    """From the TypeID specification's own valid examples."""
    known = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    assert ids.encode(Kind.BOOKING, known) == "bkg_01h455vb4pex5vsknk084sn02q"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-01T14:00:00Z", "2026-05-01T14:00:00Z"),
        ("2026-05-01T14:00:00.000Z", "2026-05-01T14:00:00Z"),
        ("2026-05-01T14:00Z", "2026-05-01T14:00:00Z"),
        ("2026-05-01t14:00:00z", "2026-05-01T14:00:00Z"),
        ("2026-05-01 14:00:00+02:00", "2026-05-01T12:00:00Z"),
        ("2026-05-01T14:00:00-05:45", "2026-05-01T19:45:00Z"),
        ("2026-05-01T14:00:00.123456789Z", "2026-05-01T14:00:00.123456Z"),
        ("2024-02-29T23:59:59+00:00", "2024-02-29T23:59:59Z"),
    ],
)
def test_instants_come_in_with_any_offset_and_go_out_in_utc(text: str, expected: str) -> None:
    assert times.iso(times.parse_instant(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-05-01", "2026-05-01T14:00:00", "2026-02-29T14:00:00Z", "2026-05-01T24:00:00Z",
     "2026-05-01T14:00:60Z",
     "20260501T140000Z", "2026-W18-5T14:00:00Z", "2026-05-01T14:00:00+25:00", "1777644000", "0001-01-01T00:00:00+01:00",
     "2026-05-01T14:00:00 Z", "2026-05-01T14:00:00Z\n", "\uff12026-05-01T14:00:00Z"],
)  # fmt: skip
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|calendar"):
        times.parse_instant(text)


def test_epochs() -> None:
    moment = datetime(2026, 5, 1, 14, tzinfo=UTC)
    assert times.from_epoch(times.epoch(moment)) == moment
    assert times.iso_epoch(times.epoch(moment)) == "2026-05-01T14:00:00Z"


def test_zones_come_from_the_package_alone() -> None:
    import zoneinfo

    assert zoneinfo.TZPATH == ()
    assert times.is_zone("Europe/Berlin")
    assert times.is_zone("US/Eastern")
    for wrong in ["", "Mars/Olympus", "europe/berlin", "../etc/passwd", "Europe", "localtime", "/etc/localtime"]:
        assert not times.is_zone(wrong)
        with pytest.raises(ValueError, match="not an IANA time zone"):
            times.zone(wrong)


def test_sql_blocks() -> None:
    assert sql.parse("-- name: a\nselect 1;\n\n-- name: b_2\n-- why\nselect 2\n") == {
        "a": "select 1",
        "b_2": "-- why\nselect 2",
    }
    with pytest.raises(ValueError, match="two blocks"):
        sql.parse("-- name: a\nselect 1\n-- name: a\nselect 2\n")
    with pytest.raises(AttributeError, match="no block named"):
        _ = sql.load("outbox").nothing


def test_the_first_key_seals_and_every_key_unseals() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    sealed = Vault((old,)).seal(b"secret")
    assert b"secret" not in sealed
    assert Vault((new, old)).unseal(sealed) == b"secret"
    with pytest.raises(SealBroken):
        Vault((new,)).unseal(sealed)
    with pytest.raises(SealBroken):
        Vault((old,)).unseal(Vault((new, old)).seal(b"x"))
    with pytest.raises(SealBroken):
        Vault((old,)).unseal(sealed[:-4])


def test_derived_keys_differ_by_purpose() -> None:
    assert derive(b"s", "a") != derive(b"s", "b")
    assert digest("a") != digest("b")
    assert len(digest("a")) == 32


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SLOTWIRE_ENV", "staging", "SLOTWIRE_ENV"),
        ("SLOTWIRE_PORT", "http", "SLOTWIRE_PORT"),
        ("SLOTWIRE_PORT", "70000", "SLOTWIRE_PORT"),
        ("SLOTWIRE_SECRET_KEYS", "short", "not a Fernet key"),
        ("SLOTWIRE_DATABASE_URL", "mysql://x", "postgresql://"),
        ("SLOTWIRE_REDIS_URL", "http://x", "redis://"),
        ("SLOTWIRE_BASE_URL", "book.example.com", "https://"),
        ("SLOTWIRE_WEBHOOK_ALLOW_NETWORKS", "10.0.0.1/8", "CIDR"),
        ("SLOTWIRE_LOG_LEVEL", "chatty", "SLOTWIRE_LOG_LEVEL"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv("SLOTWIRE_SECRET_KEYS", SECRET_KEY)
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=said) as refused:
        load_settings()
    assert "\n" not in str(refused.value)
    assert variable in str(refused.value)


def test_production_needs_its_keys() -> None:
    assert "SLOTWIRE_ENV" not in os.environ
    with pytest.raises(ConfigurationError, match="SLOTWIRE_SECRET_KEYS is required in production"):
        load_settings()
    assert load_settings(env="development").secret_keys == ()


def test_settings_have_a_public_address() -> None:
    assert Settings(env="development", port=1).public_url == "http://127.0.0.1:1"
    assert Settings(env="development", base_url="https://b.example/").public_url == "https://b.example"


def test_recent_forgets_by_age_and_by_use() -> None:
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    recent: Recent[str, int] = Recent(most=2, age=timedelta(minutes=1))
    recent.remember("a", 1, moment)
    recent.remember("b", 2, moment)
    assert recent.recall("a", moment + timedelta(minutes=1)) == 1
    recent.remember("c", 3, moment)
    assert recent.recall("b", moment) is None, "the least recently used one went"
    assert recent.recall("a", moment) == 1
    assert recent.recall("a", moment + timedelta(minutes=1, microseconds=1)) is None
