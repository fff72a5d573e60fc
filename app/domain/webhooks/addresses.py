"""Where webhooks may go: the guard against requests forged through us into private networks.

The one rule: the address that was checked is the address that is connected to. The resolver checks what it resolves and
hands exactly that to the connector; no second look-up happens in between, so rebinding a name gains nothing.
"""

import ipaddress
import socket
from collections.abc import Sequence

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from app.core.errors import InvalidInput

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LONGEST_URL = 2048
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(OSError):
    """A receiver's name resolves to an address that we do not send to."""


def check_url(url: str, *, development: bool, allowed: Sequence[Network]) -> URL:
    """The URL when a webhook may have it, parsed as the HTTP client reads it (full-width digits are digits to it).

    Raises InvalidInput: https (http only in development), no credentials, and an address written as digits must be a
    public one.
    """
    readable = url.isprintable() and " " not in url and len(url) <= _LONGEST_URL
    try:
        parsed = URL(url) if readable else URL()
        host, scheme = parsed.raw_host, parsed.scheme
        _ = parsed.port
    except ValueError:
        host, scheme, parsed = None, "", URL()
    if scheme not in {"http", "https"} or not host:
        raise InvalidInput.of("url", "expected a URL such as https://example.com/hooks")
    if scheme == "http" and not development:
        raise InvalidInput.of("url", "only https is accepted; http is for development")
    if parsed.user is not None or parsed.password is not None:
        raise InvalidInput.of("url", "must not contain a user name or password")
    if not is_allowed_host(host, allowed):
        raise InvalidInput.of("url", "this address is not public; the operator can allow private networks")
    return parsed


def is_allowed_host(host: str, allowed: Sequence[Network]) -> bool:
    """False for a host written as an address that is not allowed; names are checked when they are resolved."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if host.rstrip(".").lower() == "localhost" or host.rstrip(".").lower().endswith(".localhost"):
            return is_allowed(ipaddress.ip_address("127.0.0.1"), allowed)
        return True
    return is_allowed(address, allowed)


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Public, or in a network that the operator named. IPv4 inside IPv6 (mapped, 6to4, NAT64) is judged as IPv4."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(address.packed[-4:])
        if inner is not None:
            return is_allowed(inner, allowed)
    if any(address in network for network in allowed):
        return True
    return address.is_global and not address.is_multicast and not address.is_reserved


class GuardedResolver(AbstractResolver):
    """Resolves a name once and hands on only the addresses that may be connected to."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises AddressRefused when nothing that the name resolves to is allowed."""
        found = await self._resolver.resolve(host, port, family)
        fit = [each for each in found if is_allowed(ipaddress.ip_address(each["host"].split("%")[0]), self._allowed)]
        if not fit:
            raise AddressRefused("address_not_allowed")
        return fit

    async def close(self) -> None:
        await self._resolver.close()
