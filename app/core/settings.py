"""Configuration: environment variables only (`SLOTWIRE_*`), read once, checked before anything starts.

The one rule: a wrong value stops the start with one clear line, never a traceback and never a default
that the operator did not ask for. `.env` is read in development only, so that a stray file cannot
reconfigure a production host.
"""

import base64
import binascii
import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.core.emails import is_email
from app.core.quota import Quota, parse_quota

type_network = ipaddress.IPv4Network | ipaddress.IPv6Network

_ORIGIN = re.compile(r"https?://[^/\s,*]+")
MINIMUM_REDIS_URLS = ("redis://", "rediss://", "unix://")


def _quota(value: Any) -> Any:
    return parse_quota(value) if isinstance(value, str) else value


Limit = Annotated[Quota | None, NoDecode, BeforeValidator(_quota)]
"""None: no limit."""


Port = Annotated[int, Field(ge=1, le=65_535)]


class ConfigurationError(Exception):
    """A start that cannot happen; its text is the one line that the operator reads."""


def split_nameserver(text: str) -> tuple[str, int]:
    """(address, port) of `10.0.0.2`, `10.0.0.2:5353` or `[::1]:5353`. Raises ValueError."""
    parts = urlsplit(f"//{text}" if text.count(":") <= 1 or text.startswith("[") else f"//[{text}]")
    try:
        return str(ipaddress.ip_address(parts.hostname or "")), parts.port or 53
    except ValueError:
        raise ValueError(
            f"{text!r} is no name server; expected an address such as 10.0.0.2 or 127.0.0.1:5353"
        ) from None


class Settings(BaseSettings):
    """Everything an operator can choose. Field `x_y` is the variable `SLOTWIRE_X_Y`."""

    model_config = SettingsConfigDict(env_prefix="SLOTWIRE_", extra="ignore", frozen=True)

    env: Literal["production", "development"] = "production"
    database_url: str = ""
    redis_url: str = ""
    secret_keys: Annotated[tuple[str, ...], NoDecode] = ()
    host: str = "0.0.0.0"  # noqa: S104 -- a server behind a proxy or in a container listens on all addresses
    port: int = Field(default=8000, ge=0, le=65535)
    base_url: str = ""
    processes: int = Field(default=0, ge=0, le=256)
    pool_size: int = Field(default=12, ge=1, le=200)
    data_dir: Path = Path(".slotwire")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    drain_seconds: int = Field(default=25, ge=0, le=600)
    limit_key: Limit = Quota(600, 60)
    limit_session: Limit = Quota(600, 60)
    limit_public: Limit = Quota(60, 60)
    # of log-ins, sign-ups and asked-for passwords: for each address, and of log-ins for each account
    limit_login: Limit = Quota(10, 60)
    limit_event_type: Limit = Quota(600, 60)
    # whether anybody may make an organization of their own
    signup: Literal["open", "closed"] = "open"
    # whose X-Forwarded-For is believed
    trusted_proxies: Annotated[tuple[type_network, ...], NoDecode] = ()
    # which sites' JavaScript may call /v1 with a key; the public booking calls are open to all
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    webhook_allow_networks: Annotated[tuple[type_network, ...], NoDecode] = ()
    # which ports webhooks may reach; none named: all
    webhook_ports: Annotated[tuple[Port, ...], NoDecode] = ()
    # who resolves receivers' names, such as 10.0.0.2 or 127.0.0.1:5353; none named: whom the system asks
    webhook_nameservers: Annotated[tuple[str, ...], NoDecode] = ()
    webhook_timeout_seconds: float = Field(default=15.0, gt=0, le=60)
    webhook_concurrency: int = Field(default=100, ge=1, le=1000)
    # smtp://user:password@host:587 (STARTTLS where it is offered) or smtps://…:465; none: no mail is sent
    smtp_url: str = ""
    # what mails come from; `bookings@` the host of the base address unless it is set
    mail_from: str = ""
    # without a mail server: where mails are put as .eml files
    mail_dir: Path | None = None
    # how long a place that became free is held for the first in line
    waitlist_offer_minutes: int = Field(default=60, ge=1, le=10_080)
    worker_metrics_port: int = Field(default=0, ge=0, le=65535)
    # of the OAuth clients that calendars are connected through; without one the provider is not offered
    google_client_id: str = ""
    google_client_secret: str = ""
    google_base_url: str = "https://www.googleapis.com"
    # none: Google's own hosts
    google_oauth_base_url: str = ""
    microsoft_client_id: str = ""
    microsoft_client_secret: str = ""
    microsoft_base_url: str = "https://graph.microsoft.com"
    microsoft_oauth_base_url: str = "https://login.microsoftonline.com/common"
    # so often a calendar is looked at that nobody pushes; with push, a lost one is made good ten times as late
    calendar_poll_seconds: int = Field(default=60, ge=1, le=86_400)
    # what was not read for so long is unknown
    calendar_stale_minutes: int = Field(default=60, ge=1, le=10_080)
    # so many bookings one sync may change without its owner's word
    calendar_brake: int = Field(default=5, ge=1, le=1000)

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        origins = tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
        for origin in origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin; expected such as https://shop.example.com, or *")
        return origins

    @field_validator("secret_keys", "webhook_ports", "webhook_nameservers", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("webhook_nameservers")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            split_nameserver(each)
        return value

    @field_validator("webhook_allow_networks", "trusted_proxies", mode="before")
    @classmethod
    def _split_networks(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())
        except ValueError as error:
            raise ValueError(f"networks are written as CIDR, such as 10.0.0.0/8: {error}") from None

    @field_validator("secret_keys")
    @classmethod
    def _are_fernet_keys(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for number, key in enumerate(value, start=1):
            try:
                decoded = base64.urlsafe_b64decode(key)
            except (binascii.Error, ValueError):
                decoded = b""
            if len(decoded) != 32:
                raise ValueError(
                    f"key {number} is not a Fernet key (32 bytes in URL-safe base64); make one with: "
                    "python3 -c 'import base64,os;print(base64.urlsafe_b64encode(os.urandom(32)).decode())'"
                )
        return value

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: str) -> str:
        if value and not value.startswith(("postgres://", "postgresql://")):
            raise ValueError("expected postgresql://user:password@host/database")
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: str) -> str:
        if value and not value.startswith(MINIMUM_REDIS_URLS):
            raise ValueError("expected redis://host:6379/0, rediss://… or unix:///path")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _is_smtp(cls, value: str) -> str:
        # the words must not quote the address: it may hold a password
        if value:
            where = urlsplit(value)
            try:
                well_formed = where.scheme in {"smtp", "smtps"} and bool(where.hostname) and where.port != 0
            except ValueError:
                well_formed = False
            if not well_formed:
                raise ValueError("expected smtp://user:password@host:587 or smtps://user:password@host:465")
        return value

    @field_validator("mail_from")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value and not is_email(value):
            raise ValueError("expected an e-mail address, such as bookings@example.com")
        return value

    @field_validator(
        "base_url", "google_base_url", "google_oauth_base_url", "microsoft_base_url", "microsoft_oauth_base_url"
    )
    @classmethod
    def _is_http(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("expected the public address, such as https://book.example.com")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _production_has_keys(self) -> "Settings":
        if self.env == "production" and not self.secret_keys:
            raise ValueError(
                "SLOTWIRE_SECRET_KEYS is required in production "
                "(Fernet keys, separated by commas; the first one encrypts)"
            )
        return self

    @property
    def public_url(self) -> str:
        """The address that links in answers and mails begin with, without a slash at its end."""
        return self.base_url or f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}"  # noqa: S104

    @property
    def sender(self) -> str:
        """The address that mails come from."""
        host = urlsplit(self.public_url).hostname or ""
        return self.mail_from or f"bookings@{host if is_email(f'a@{host}') else 'localhost'}"

    @property
    def development(self) -> bool:
        return self.env == "development"


def load_settings(**overrides: Any) -> Settings:
    """Read the environment (and `.env` in development).

    Raises ConfigurationError with one line that names the variable and what it should be.
    """
    env_file = (
        ".env" if os.environ.get("SLOTWIRE_ENV") == "development" or overrides.get("env") == "development" else None
    )
    try:
        return Settings(_env_file=env_file, **overrides)
    except ValidationError as error:
        first = error.errors()[0]
        name = "SLOTWIRE_" + str(first["loc"][0]).upper() if first["loc"] else "configuration"
        message = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigurationError(message if message.startswith("SLOTWIRE_") else f"{name}: {message}") from None
