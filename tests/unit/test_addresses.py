"""The guard's judgement of addresses and URLs, without a network."""

import ipaddress

import pytest

from app.core.errors import InvalidInput
from app.core.settings import ConfigurationError, Settings, load_settings
from app.domain.webhooks.addresses import Guard, Network, check_url, is_allowed

# What is refused, by whoever set it aside.
REFUSED = {
    "this network (RFC 791)": "0.0.0.0/8",
    "private (RFC 1918)": "10.0.0.0/8",
    "private, the second (RFC 1918)": "172.16.0.0/12",
    "private, the third (RFC 1918)": "192.168.0.0/16",
    "NAT of carriers (RFC 6598)": "100.64.0.0/10",
    "loopback (RFC 1122)": "127.0.0.0/8",
    "link-local (RFC 3927)": "169.254.0.0/16",
    "protocol assignments (RFC 6890)": "192.0.0.0/24",
    "documentation, 1 (RFC 5737)": "192.0.2.0/24",
    "documentation, 2 (RFC 5737)": "198.51.100.0/24",
    "documentation, 3 (RFC 5737)": "203.0.113.0/24",
    "relays of 6to4 (RFC 7526)": "192.88.99.0/24",
    "benchmarks (RFC 2544)": "198.18.0.0/15",
    "multicast (RFC 5771)": "224.0.0.0/4",
    "class E (RFC 1112)": "240.0.0.0/4",
    "broadcast (RFC 919)": "255.255.255.255/32",
    "metadata of AWS, Google, Azure, DigitalOcean, OpenStack": "169.254.169.254/32",
    "credentials of ECS tasks (AWS)": "169.254.170.2/32",
    "metadata of Alibaba Cloud": "100.100.100.200/32",
    "metadata of Oracle Cloud": "192.0.0.192/32",
    "the platform of Azure": "168.63.129.16/32",
    "unspecified (RFC 4291)": "::/128",
    "loopback, IPv6 (RFC 4291)": "::1/128",
    "IPv4-compatible (RFC 4291)": "::/96",
    "IPv4-translated (RFC 2765)": "::ffff:0:0:0/96",
    "NAT64 of a site (RFC 8215)": "64:ff9b:1::/48",
    "discard-only (RFC 6666)": "100::/64",
    "protocol assignments, IPv6 (RFC 2928)": "2001::/23",
    "Teredo (RFC 4380)": "2001::/32",
    "benchmarks, IPv6 (RFC 5180)": "2001:2::/48",
    "ORCHIDv2 (RFC 7343)": "2001:20::/28",
    "documentation, IPv6 (RFC 3849)": "2001:db8::/32",
    "documentation, IPv6, 2 (RFC 9637)": "3fff::/20",
    "6to4 (RFC 3056)": "2002::/16",
    "segment routing (RFC 9602)": "5f00::/16",
    "unique local (RFC 4193)": "fc00::/7",
    "metadata of AWS, IPv6": "fd00:ec2::254/128",
    "metadata of Google, IPv6": "fd20:ce::254/128",
    "link-local, IPv6 (RFC 4291)": "fe80::/10",
    "site-local (RFC 3879)": "fec0::/10",
    "multicast, IPv6 (RFC 4291)": "ff00::/8",
    "mapped loopback (RFC 4291)": "::ffff:127.0.0.0/104",
    "mapped metadata (RFC 4291)": "::ffff:169.254.169.254/128",
    "NAT64 of loopback (RFC 6052)": "64:ff9b::127.0.0.0/104",
    "NAT64 of metadata (RFC 6052)": "64:ff9b::169.254.169.254/128",
    "ISATAP (RFC 5214)": "2606:4700::5efe:0:0/96",
    "ISATAP, of a public IPv4 address (RFC 5214)": "2606:4700::200:5efe:0:0/96",
}
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "93.184.215.14", "168.63.129.15", "168.63.129.17", "2606:2800:21f:cb07:6820:80da:af6b:8b2c",
    "2a00:1450:4001:82b::200e", "::ffff:93.184.215.14", "64:ff9b::93.184.215.14", "2606:4700::5efd:1:1",
]  # fmt: skip
# The last address before a refused range and the first one behind it, where those are public.
NEIGHBOURS = [
    "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.1.255",
    "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
    "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255", "2000::", "2001:200::",
    "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::", "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::",
    "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
]  # fmt: skip


@pytest.mark.parametrize("network", REFUSED.values(), ids=REFUSED.keys())
def test_refused_from_the_first_address_to_the_last(network: str) -> None:
    """And where somebody allows exactly this range, from the first to the last, too."""
    given = ipaddress.ip_network(network)
    ends = (given[0], given[given.num_addresses // 2], given[-1])
    assert [each for each in ends if is_allowed(each, ())] == []
    inner = given
    if isinstance(given, ipaddress.IPv6Network) and network.startswith(("::ffff:127", "::ffff:169", "64:ff9b::")):
        inner = ipaddress.ip_network((given[0].packed[-4:], given.prefixlen - 96))
    assert [each for each in ends if not is_allowed(each, (inner,))] == []


@pytest.mark.parametrize("address", PUBLIC + NEIGHBOURS)
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(ipaddress.ip_address(address), ())


@pytest.mark.parametrize("form", ["{}", "::ffff:{}", "64:ff9b::{}"])
def test_every_ipv4_address_is_judged_as_itself_in_every_form(form: str) -> None:
    """One address of each /12, and whatever Python calls private: more than it does may be refused, never less."""
    for first in range(0, 2**32, 2**20):
        address = ipaddress.IPv4Address(first + 77)
        allowed = is_allowed(ipaddress.ip_address(form.format(address)), ())
        assert allowed == is_allowed(address, ())
        assert not (allowed and (address.is_private or address.is_multicast or address.is_reserved)), address


def test_what_python_calls_private_is_refused_in_ipv6_as_well() -> None:
    for first in range(2**16):
        address = ipaddress.IPv6Address((first << 112) + 0x5EED)
        if is_allowed(address, ()):
            kinds = ("private", "multicast", "reserved", "link_local", "site_local", "loopback", "unspecified")
            assert [kind for kind in kinds if getattr(address, f"is_{kind}")] == [], address


def test_the_operator_opens_ranges_and_nothing_else() -> None:
    lan = networks("192.168.0.0/16")
    assert is_allowed(ipaddress.ip_address("192.168.1.5"), lan)
    assert is_allowed(ipaddress.ip_address("::ffff:192.168.1.5"), lan)
    assert is_allowed(ipaddress.ip_address("64:ff9b::192.168.1.5"), lan)
    for other in ("10.0.0.1", "127.0.0.1", "::1", "::ffff:10.0.0.1", "2002:c0a8:105::", "::192.168.1.5", "fc00::1"):
        assert not is_allowed(ipaddress.ip_address(other), lan), other
    assert is_allowed(ipaddress.ip_address("fe80::1%eth0"), networks("fe80::/10")), "with its interface, too"


def test_all_of_ipv6_does_not_mean_all_of_ipv4() -> None:
    """A mapped address is connected to by IPv4, whatever it looks like."""
    assert is_allowed(ipaddress.ip_address("::1"), networks("::/0"))
    for mapped in ("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1"):
        assert not is_allowed(ipaddress.ip_address(mapped), networks("::/0"))


# What an HTTP client takes for 127.0.0.1 after the normalization of names (UTS 46), or the system's library does.
DISGUISES = [
    "https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
    "https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/",
    "https://127\u30020\u30020\u30021/",
    "https://[::ffff:7f00:1]/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]/",
    "https://127.0.0.1./",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://0x7f000001/",
    "https://017700000001/",
    "https://127.0.0.0x1/",
    "https://hooks.example.1/",
]
NOT_FOR_WEBHOOKS = [
    "http://example.com/hook",
    "https://a:b@example.com/",
    "https://a@example.com/",
    "https://:b@example.com/",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://a.localhost/",
    "https://[::1]/",
    "https://[fe80::1%25eth0]/",
    "https://192.168.1.1/",
    "https://168.63.129.16/",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://example.com:x/",
    "https://",
    "https:///hook",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "//example.com/hook",
    "/hook",
    "example.com",
    "",
    "https://example.com/a b",
    "https://example.com/\nhook",
    "https://example.com/" + "a" * 2048,
    *DISGUISES,
]


@pytest.mark.parametrize("url", NOT_FOR_WEBHOOKS)
def test_urls_that_no_webhook_may_have(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_url(url, Guard())
    assert [each.field for each in refused.value.errors] == ["url"]


def test_http_is_for_development() -> None:
    assert check_url("http://example.com/hook", Guard(development=True))
    assert str(check_url("https://example.com:8443/hook?a=b", Guard())) == "https://example.com:8443/hook?a=b"
    assert check_url("https://b\u00fccher.example/", Guard()).raw_host == "xn--bcher-kva.example"
    assert check_url("https://1.example.com/", Guard()), "only the last label makes an address of it"
    assert check_url("https://hooks/", Guard()), "a container's name; it is checked when it is resolved"


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("https://example.com/", 443),
        ("https://example.com:443/", 443),
        ("https://example.com:8443/", 8443),
        ("http://example.com/", 80),
        ("http://example.com:443/", 443),
    ],
)
def test_ports_are_all_right_unless_the_operator_names_some(url: str, port: int) -> None:
    assert check_url(url, Guard(development=True))
    assert check_url(url, Guard(development=True, ports=(port,)))
    with pytest.raises(InvalidInput) as refused:
        check_url(url, Guard(development=True, ports=(9443, 9080)))
    (told,) = refused.value.errors
    assert f"port {port} " in told.message
    assert "9080, 9443" in told.message


def test_the_guard_is_what_the_settings_say(settings_of_nobody: Settings) -> None:
    guard = Guard.of(settings_of_nobody)
    assert (guard.development, guard.allowed) == (False, networks("10.0.0.0/8"))
    assert (guard.ports, guard.nameservers) == ((443, 8443), ("10.0.0.2", "[::1]:5353"))
    assert check_url("https://10.1.2.3:8443/", guard)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SLOTWIRE_WEBHOOK_PORTS", "0"),
        ("SLOTWIRE_WEBHOOK_PORTS", "443,https"),
        ("SLOTWIRE_WEBHOOK_PORTS", "65536"),
        ("SLOTWIRE_WEBHOOK_NAMESERVERS", "dns.example.com"),
        ("SLOTWIRE_WEBHOOK_NAMESERVERS", "10.0.0.2:dns"),
        ("SLOTWIRE_WEBHOOK_NAMESERVERS", "10.0.0.2:70000"),
        ("SLOTWIRE_WEBHOOK_ALLOW_NETWORKS", "10.0.0.1/8"),
    ],
)
def test_wrong_values_stop_the_start(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=variable):
        load_settings(env="development")


@pytest.fixture
def settings_of_nobody(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SLOTWIRE_WEBHOOK_PORTS", "443, 8443")
    monkeypatch.setenv("SLOTWIRE_WEBHOOK_NAMESERVERS", "10.0.0.2,[::1]:5353")
    monkeypatch.setenv("SLOTWIRE_WEBHOOK_ALLOW_NETWORKS", "10.0.0.0/8")
    return Settings(env="production", secret_keys=("c2xvdHdpcmUtdGVzdHMtdXNlLXRoaXMta2V5LW9ubHk=",))


def networks(*texts: str) -> tuple[Network, ...]:
    return tuple(map(ipaddress.ip_network, texts))
