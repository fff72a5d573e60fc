"""TLS through the guard: the name is what is verified, however it was resolved."""

import asyncio
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.guarding import NAME, PRIVATE
from tests.nameserver import Nameserver, answering


@pytest.fixture
async def names() -> AsyncIterator[Nameserver]:
    async with answering() as server:
        yield server


ATTEMPTS = """
import asyncio, json, sys
from datetime import UTC, datetime
import uvloop
from app.domain.webhooks.deliver import attempt, open_session
from tests.guarding import LOOPBACK, delivery, guard

async def main(nameserver, *urls):
    rules = guard(nameserver, development=False, allowed=LOOPBACK)
    async with open_session(guard=rules, concurrency=5, timeout_seconds=10) as session:
        outcomes = [await attempt(session, delivery(url), guard=rules, now=datetime.now(UTC)) for url in urls]
    print(json.dumps([[each.status_code, each.error] for each in outcomes]))

uvloop.run(main(*sys.argv[1:]))
"""


async def attempts(names: Nameserver, *urls: str, trusted: Path | None) -> list[list[object]]:
    """By a process of its own, which trusts this authority (`SSL_CERT_FILE`), as an operator's would."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", ATTEMPTS, names.address, *urls),
        env=os.environ | ({"SSL_CERT_FILE": str(trusted)} if trusted else {}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), timeout=60)
    assert process.returncode == 0, err.decode()
    assert err == b""
    found: list[list[object]] = json.loads(out)
    return found


async def test_tls_verifies_the_name_and_not_the_address(names: Nameserver, tmp_path: Path) -> None:
    authority, context = certificates(tmp_path, NAME)
    names.answer(NAME, PRIVATE)
    names.answer("other.test", PRIVATE)
    heard: list[str] = []

    async def take(request: web.Request) -> web.Response:
        heard.append(request.host.partition(":")[0])
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, PRIVATE, 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    urls = [f"https://{host}:{port}/hook" for host in (NAME, "other.test", PRIVATE)]
    try:
        trusting = await attempts(names, *urls, trusted=authority)
        strange = await attempts(names, urls[0], trusted=None)
    finally:
        await runner.cleanup()
    assert trusting == [[200, None], [None, "tls_failed"], [None, "tls_failed"]]
    assert strange == [[None, "tls_failed"]], "an authority that nobody trusts"
    assert heard == [NAME]


def certificates(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """An authority's file, and what a server needs that it vouches for under this name."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test authority")])
    now = datetime.now(UTC)

    def build(subject: x509.Name, public: ec.EllipticCurvePublicKey, *, ca: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        )

    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    ca = build(ca_name, ca_key.public_key(), ca=True).add_extension(usage, critical=True).sign(ca_key, hashes.SHA256())
    leaf_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    leaf = (
        build(leaf_name, key.public_key(), ca=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem, private = serialization.Encoding.PEM, folder / "server.pem"
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    private.write_bytes(
        leaf.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(private)
    return folder / "ca.pem", context
