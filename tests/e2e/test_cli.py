"""The command line as an operator meets it: what it prints, what it exits with, and what it says about mistakes."""

import base64
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from app.core.settings import Settings
from tests.support import Api, environment_for

ROOT = Path(__file__).parents[2]


def slotwire(settings: Settings, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        env={**environment_for(settings), **changes},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def bootstrap(settings: Settings, email: str, *more: str) -> dict[str, Any]:
    arguments = ["--org", "Acme", "--email", email, "--password", "correct horse", "--json", *more]
    done = slotwire(settings, "bootstrap", *arguments)
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made


async def test_bootstrap_is_idempotent_by_email_and_its_key_works(settings: Settings, api: Api) -> None:
    first = bootstrap(settings, "ana.b@acme.example", "--timezone", "Europe/Berlin", "--username", "ana")
    assert set(first) == {"org_id", "user_id", "username", "api_key"}
    me = (await Api(api.client, first["api_key"]).get("/v1/users/me")).ok()
    assert (me["user"]["id"], me["organization"]["id"]) == (first["user_id"], first["org_id"])
    assert (me["user"]["timezone"], me["user"]["username"]) == ("Europe/Berlin", "ana")
    again = bootstrap(settings, "Ana.B@acme.example")
    assert again == {name: first[name] for name in ("org_id", "user_id", "username")}
    narrow = bootstrap(settings, "ana.b@acme.example", "--new-key", "--scopes", "slots:read,bookings:read")
    me = (await Api(api.client, narrow["api_key"]).get("/v1/users/me")).ok()
    assert me["key"]["scopes"] == ["bookings:read", "slots:read"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--username", "admin"], "reserved"),
        (["--username", "No Spaces"], "username"),
        (["--timezone", "Mars/Olympus"], "IANA"),
        (["--scopes", "everything"], "not a scope"),
        (["--email", "nobody"], "e-mail"),
        (["--email", "a@" + "b" * 400], "e-mail"),
        (["--org", ""], "org"),
        (["--org", "x" * 201], "org"),
        (["--password", ""], "password"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(settings: Settings, arguments: list[str], said: str) -> None:
    base = ["bootstrap", "--org", "X", "--email", "mistake@acme.example", "--password", "p"]
    done = slotwire(settings, *base, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_taken_username_is_told(settings: Settings) -> None:
    bootstrap(settings, "first@acme.example", "--username", "the-same")
    base = ["bootstrap", "--org", "X", "--email", "second@acme.example", "--password", "p"]
    done = slotwire(settings, *base, "--username", "the-same")
    assert done.returncode == 2
    assert "taken" in done.stderr


def test_nothing_running_is_told(settings: Settings, tmp_path: Path) -> None:
    arguments = ["--org", "X", "--email", "x@acme.example", "--password", "p", "--data-dir", str(tmp_path)]
    done = slotwire(settings, "bootstrap", *arguments, SLOTWIRE_DATABASE_URL="", SLOTWIRE_ENV="production")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "no `slotwire up` runs on" in line


@pytest.mark.parametrize("arguments", [["--port", "99999"], ["--port", "http"], ["--processes", "-3"]])
def test_numbers_out_of_bounds_are_usage_errors(settings: Settings, arguments: list[str]) -> None:
    done = slotwire(settings, "up", *arguments)
    assert done.returncode == 2
    assert "error: argument" in done.stderr
    assert "Traceback" not in done.stderr


def test_migrate_says_what_it_did(settings: Settings) -> None:
    done = slotwire(settings, "migrate")
    assert (done.returncode, done.stdout) == (0, "the database is up to date (0 ran)\n")


@pytest.mark.parametrize("command", ["web", "worker", "migrate"])
def test_an_unreachable_database_is_one_line(settings: Settings, command: str) -> None:
    done = slotwire(settings, command, SLOTWIRE_DATABASE_URL="postgresql://u:hunter2@127.0.0.1:9/x", SLOTWIRE_PORT="0")
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if "listening on" not in line]
    (line,) = lines
    assert line.startswith("slotwire: the database at 127.0.0.1:9/x cannot be reached")
    assert "hunter2" not in line


@pytest.mark.parametrize("command", ["web", "worker", "migrate"])
def test_no_database_is_one_line(settings: Settings, command: str) -> None:
    done = slotwire(settings, command, SLOTWIRE_DATABASE_URL="")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "SLOTWIRE_DATABASE_URL" in line


def test_doctor_finds_nothing_wrong_and_then_something(settings: Settings) -> None:
    well = slotwire(settings, "doctor")
    assert well.returncode == 0, well.stdout
    assert "fail" not in well.stdout
    for subject in ["database: PostgreSQL", "migrations: all have run", "clock:", "Redis: answers", "outbox"]:
        assert subject in well.stdout
    ill = slotwire(settings, "doctor", SLOTWIRE_DATABASE_URL="postgresql://127.0.0.1:9/x", SLOTWIRE_REDIS_URL="")
    assert ill.returncode == 1
    assert "fail  database" in ill.stdout
    assert "-> check SLOTWIRE_DATABASE_URL" in ill.stdout
    assert "warn  Redis" in ill.stdout


def test_doctor_notices_a_lost_key(settings: Settings) -> None:
    bootstrap(settings, "sealed@acme.example")
    # a key of its own in both halves: with the same signing half, one wrong decryption in 256 pads like a right one
    other = base64.urlsafe_b64encode(hashlib.sha256(b"another key").digest()).decode()
    done = slotwire(settings, "doctor", SLOTWIRE_SECRET_KEYS=other)
    assert done.returncode == 1
    assert "put the old key back" in done.stdout


def test_help_everywhere(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in [
        [],
        ["up"],
        ["web"],
        ["worker"],
        ["migrate"],
        ["bootstrap"],
        ["doctor"],
        ["rotate-keys"],
        ["audit"],
        ["zones"],
        ["calendars"],
        ["calendars", "reconcile"],
        ["torture"],
        ["openapi"],
        ["listen"],
        ["trigger"],
    ]:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--help"])
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith("usage: slotwire")
    assert slotwire(settings, "--help").stdout.startswith("usage: slotwire")


def test_the_wheel_works_without_the_checkout(settings: Settings, tmp_path: Path) -> None:
    """SQL ships inside: unpacked elsewhere, with this checkout out of reach, it migrates and serves its version."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    data = [path for path in (ROOT / "app").rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}]
    assert {str(path.relative_to(ROOT)) for path in data} <= set(names), "templates and scripts travel too"
    assert {name.split("/")[0] for name in names} == {"app", "workers", "sql", f"slotwire-{version(names)}.dist-info"}
    code = (
        "import sys; sys.path[:] = [p for p in sys.path if p and 'site-packages' in p or 'lib/python' in p];"
        f"sys.path.insert(0, {str(tmp_path / 'site')!r});"
        "import app, sql; from app.cli import main;"
        f"assert app.__file__.startswith({str(tmp_path)!r}), app.__file__;"
        "sys.exit(main(['migrate']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment_for(settings),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "the database is up to date (0 ran)\n"), done.stderr


def version(names: list[str]) -> str:
    (folder,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
    return folder.removeprefix("slotwire-").removesuffix(".dist-info")
