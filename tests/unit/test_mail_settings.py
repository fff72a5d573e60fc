"""What an operator can say about mail, and what they are told when it is wrong."""

from datetime import UTC, datetime, timedelta

import pytest

from app.core.settings import ConfigurationError, load_settings
from app.domain.notifications.retry import GIVE_UP_AFTER, next_attempt
from app.domain.notifications.transport import opened

NOW = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "http://mail.example.com",
        "smtp://",
        "smtp://me:hunter2@",
        "smtp://me:hunter2@mail.example.com:port",
        "smtp://me:hunter2@mail.example.com:0",
        "smtp://me:hunter2@mail.example.com:99999",
    ],
)
def test_a_wrong_address_of_the_mail_server_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SLOTWIRE_SMTP_URL", url)
    with pytest.raises(ConfigurationError) as refused:
        load_settings(env="development")
    line = str(refused.value)
    assert line.startswith("SLOTWIRE_SMTP_URL: ")
    assert "\n" not in line
    assert "hunter2" not in line


def test_a_wrong_sender_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOTWIRE_MAIL_FROM", "Bookings <bookings@example.com>")
    with pytest.raises(ConfigurationError, match=r"^SLOTWIRE_MAIL_FROM: [^\n]+$"):
        load_settings(env="development")


@pytest.mark.parametrize(
    ("base_url", "mail_from", "sender"),
    [
        ("https://book.example.com", "", "bookings@book.example.com"),
        ("https://book.example.com", "hello@example.com", "hello@example.com"),
        ("http://127.0.0.1:8000", "", "bookings@127.0.0.1"),
        ("http://[::1]:8000", "", "bookings@localhost"),
        ("", "", "bookings@127.0.0.1"),
    ],
)
def test_mails_come_from_an_address_whatever_is_configured(base_url: str, mail_from: str, sender: str) -> None:
    assert load_settings(env="development", base_url=base_url, mail_from=mail_from).sender == sender


def test_without_a_server_and_a_folder_nobody_gets_mail() -> None:
    assert opened(load_settings(env="development")) is None
    assert opened(load_settings(env="development", smtp_url="smtp://localhost")) is not None
    assert opened(load_settings(env="development", mail_dir="x")) is not None


def test_a_mail_is_tried_ever_more_seldom_and_for_two_days() -> None:
    attempts, now, pauses = 0, NOW, list[timedelta]()
    while (at := next_attempt(attempts + 1, NOW, now)) is not None:
        pauses.append(at - now)
        attempts, now = attempts + 1, at
    assert pauses == sorted(pauses)
    assert pauses[0] == timedelta(minutes=1)
    assert GIVE_UP_AFTER - timedelta(hours=4) < now - NOW < GIVE_UP_AFTER
    assert 10 < attempts < 30
