"""Where webhooks may go: the guard against requests forged through us into private networks.

The one rule: the address that was checked is the address that is connected to. The resolver checks what it resolves and
hands exactly that to the connector; no second look-up happens in between, so rebinding a name gains nothing.
"""

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from app.core.errors import InvalidInput
from app.core.settings import Settings
from app.domain.webhooks.names import Names

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LONGEST_URL = 2048

# A table of our own: `is_global` answers differently from one Python to the next, and knows no vendor.
_REFUSED_V4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # "this network", RFC 791: Linux takes 0.0.0.0 for itself
            "10.0.0.0/8",  # private, RFC 1918
            "100.64.0.0/10",  # carriers' NAT, RFC 6598; the metadata of Alibaba Cloud is 100.100.100.200
            "127.0.0.0/8",  # loopback, RFC 1122
            "168.63.129.16/32",  # the platform of Azure, in public space
            "169.254.0.0/16",  # link-local, RFC 3927; most clouds' metadata is 169.254.169.254
            "172.16.0.0/12",  # private, RFC 1918
            "192.0.0.0/24",  # protocol assignments, RFC 6890; the metadata of Oracle Cloud is 192.0.0.192
            "192.0.2.0/24",  # documentation, RFC 5737
            "192.88.99.0/24",  # relays of 6to4, RFC 7526
            "192.168.0.0/16",  # private, RFC 1918
            "198.18.0.0/15",  # benchmarks, RFC 2544
            "198.51.100.0/24",  # documentation, RFC 5737
            "203.0.113.0/24",  # documentation, RFC 5737
            "224.0.0.0/4",  # multicast, RFC 5771
            "240.0.0.0/4",  # class E, RFC 1112, and broadcast, RFC 919
        ),
    )
)
# Everything else is not unicast of the Internet (RFC 4291, section 2.4): loopback, link-local, site-local, unique local
# (where AWS has fd00:ec2::254 and Google fd20:ce::254), multicast, discard-only (RFC 6666), segment routing (RFC 9602),
# IPv4-compatible, IPv4-translated (RFC 2765), NAT64 of a site (RFC 8215), and whatever is not assigned yet.
_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocol assignments, RFC 2928: Teredo, benchmarks, ORCHID
            "2001:db8::/32",  # documentation, RFC 3849
            "2002::/16",  # 6to4, RFC 3056: carries any IPv4 address
            "3fff::/20",  # documentation, RFC 9637
        ),
    )
)
# What reaches an IPv4 address on any machine, or through the translator of any IPv6-only network (RFC 6052).
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# The upper half of the interface id of an ISATAP tunnel (RFC 5214), which carries any IPv4 address.
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


class AddressRefused(OSError):
    """A receiver's name resolves to an address that we do not send to."""


@dataclass(frozen=True, eq=False, slots=True)
class Guard:
    """What the operator chose. development: http is fine. allowed: private networks that may be reached. ports: none
    named means all. nameservers: none named means whom the system asks."""

    development: bool = False
    allowed: tuple[Network, ...] = ()
    ports: tuple[int, ...] = ()
    nameservers: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        networks = settings.webhook_allow_networks
        return cls(settings.development, networks, settings.webhook_ports, settings.webhook_nameservers)


def check_url(url: str, guard: Guard) -> URL:
    """The URL when a webhook may have it, parsed as the HTTP client reads it (full-width digits are digits to it).

    Raises InvalidInput: https (http only in development), no credentials, a port that the operator lets through, and an
    address written as digits must be a public one.
    """
    readable = url.isprintable() and " " not in url and len(url) <= _LONGEST_URL
    try:
        parsed = URL(url) if readable else URL()
        host, scheme, port = parsed.raw_host, parsed.scheme, parsed.port
    except ValueError:
        parsed, host, scheme, port = URL(), None, "", None
    if scheme not in {"http", "https"} or not host or not port:
        raise InvalidInput.of("url", "expected a URL such as https://example.com/hooks")
    if scheme == "http" and not guard.development:
        raise InvalidInput.of("url", "only https is accepted; http is for development")
    if parsed.user is not None or parsed.password is not None:
        raise InvalidInput.of("url", "must not contain a user name or password")
    if guard.ports and port not in guard.ports:
        some = ", ".join(map(str, sorted(guard.ports)))
        raise InvalidInput.of(
            "url", f"port {port} is not allowed here; use {some}, or ask the operator (SLOTWIRE_WEBHOOK_PORTS)"
        )
    if not is_allowed_host(host, guard.allowed):
        raise InvalidInput.of(
            "url",
            "this address is not public; use a public one, or ask the operator to allow its network "
            "(SLOTWIRE_WEBHOOK_ALLOW_NETWORKS)",
        )
    return parsed


def is_allowed_host(host: str, allowed: Sequence[Network]) -> bool:
    """False for a host written as an address that is not allowed; names are checked when they are resolved."""
    try:
        return is_allowed(ipaddress.ip_address(host), allowed)
    except ValueError:
        name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return is_allowed(ipaddress.IPv4Address("127.0.0.1"), allowed)
    # no name ends in a number (RFC 1123, section 2.1): this is an address in another spelling, such as 127.1 or 0x7f.1
    last = name.rpartition(".")[2]
    return not (last.isdigit() or last.startswith("0x"))


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Public, or in a network that the operator named. IPv4 mapped into IPv6, or behind NAT64, is judged as IPv4."""
    if isinstance(address, ipaddress.IPv6Address) and (address in _MAPPED or address in _NAT64):
        address = ipaddress.IPv4Address(address.packed[-4:])
    if any(address in network for network in allowed):
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    if address not in _UNICAST_V6 or int.from_bytes(address.packed[8:12]) in _ISATAP:
        return False
    return not any(address in network for network in _REFUSED_V6)


class GuardedResolver(AbstractResolver):
    """Resolves a name once and hands on only the addresses that may be connected to. Whoever made it closes it."""

    def __init__(self, guard: Guard) -> None:
        self._allowed = guard.allowed
        self._names = Names(guard.nameservers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises AddressRefused when nothing that the name resolves to is allowed, and NameNotResolved."""
        found = await self._names.look_up(host, family)
        fit = [each for each in found if is_allowed(ipaddress.ip_address(each[1]), self._allowed)]
        if not fit:
            raise AddressRefused("address_not_allowed")
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=numeric)
            for kind, address in fit
        ]

    async def close(self) -> None:
        self._names.close()
