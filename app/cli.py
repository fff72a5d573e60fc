"""The `slotwire` command.

The one rule: what the caller can mend is said in one line on standard error, with exit code 2; never a traceback.
"""

import argparse
import asyncio
import io
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from app import arguments
from app.audit import Asked, run_audit
from app.bootstrap import Bootstrapped, Wanted, bootstrap
from app.core import db
from app.core.errors import SlotwireError
from app.core.ids import Kind, encode
from app.core.migrate import migrate
from app.core.settings import ConfigurationError, Settings, load_settings
from app.core.vault import Vault
from app.doctor import run_doctor
from app.listen import Wish, header, receiver_url, run_listen
from app.main import openapi
from app.reconcile import Reconciling, add_calendars, run_reconcile
from app.remote import Server, find_server
from app.rotate import run_rotation
from app.serve import run_web
from app.torture import SCENARIOS, Aim, run_torture
from app.trigger import check_events, list_events, run_trigger
from app.up import run_up
from app.zones import run_zones

_MISUSE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a terminal that lacks a letter of a name shows it as \u…, and the command goes on
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(argv)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # `| head` has seen enough; the interpreter flushes once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ConfigurationError as error:
        print(f"slotwire: {error}", file=sys.stderr)
        return _MISUSE
    except SlotwireError as error:
        print(f"slotwire: {error.detail}", file=sys.stderr)
        return _MISUSE
    except asyncpg.PostgresError as error:
        # its further lines quote values
        print(f"slotwire: the database refuses: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="slotwire",
        description="Self-hosted, webhook-first booking. `slotwire up` is all you need to try it.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    up = commands.add_parser("up", help="run everything on this machine, databases included")
    up.add_argument("--port", type=arguments.port, help="port of the web server (default: SLOTWIRE_PORT or 8000)")
    up.add_argument("--host", help="address to listen on (default: SLOTWIRE_HOST or 127.0.0.1)")
    up.add_argument("--data-dir", type=Path, help="where data is kept (default: SLOTWIRE_DATA_DIR or .slotwire)")
    up.add_argument(
        "--processes", type=arguments.count, default=1, help="web processes; 0: one per core (default: %(default)s)"
    )
    up.add_argument("--no-demo", action="store_true", help="make no demo organization")
    up.set_defaults(run=_up)

    web = commands.add_parser("web", help="the web server (Procfile: web)")
    web.set_defaults(run=lambda _options: run_web(load_settings()))

    worker = commands.add_parser("worker", help="the worker: webhooks and everything else due (Procfile: worker)")
    worker.set_defaults(run=_worker)

    migrations = commands.add_parser("migrate", help="bring the database up to this version (Procfile: release)")
    migrations.set_defaults(run=_migrate)

    first = commands.add_parser(
        "bootstrap", help="make an organization, its owner and an API key", description="Idempotent by e-mail."
    )
    first.add_argument("--org", required=True, help="name of the organization")
    first.add_argument("--email", required=True, help="the owner's e-mail address, which is the log-in")
    first.add_argument("--password", required=True, help="the owner's password")
    first.add_argument("--username", default="", help="begins the public address (default: made from the e-mail)")
    first.add_argument("--timezone", default="UTC", help="the owner's IANA time zone (default: %(default)s)")
    first.add_argument("--scopes", default="", help="the key's scopes, separated by commas (default: all)")
    first.add_argument("--new-key", action="store_true", help="make another key for an organization that exists")
    first.add_argument(
        "--data-dir", type=Path, help="of a running `slotwire up` (default: SLOTWIRE_DATA_DIR or .slotwire)"
    )
    first.add_argument("--json", action="store_true", help="print one JSON object")
    first.set_defaults(run=_bootstrap)

    described = commands.add_parser("openapi", help="print the OpenAPI document, as /openapi.json serves it")
    described.set_defaults(run=_openapi)

    _add_audit(commands)
    add_calendars(commands, _reconcile)
    _add_webhooks(commands)
    _add_checks(commands)
    return parser


def _add_audit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    log = commands.add_parser("audit", help="print an organization's audit log")
    whose = log.add_mutually_exclusive_group()
    whose.add_argument("--email", help="of anybody in the organization (default: the only organization)")
    whose.add_argument("--org", help="the organization's id")
    log.add_argument("--action", help="such as key.created, or a noun such as key")
    log.add_argument("--since", type=arguments.instant, help="such as 2026-11-01T00:00:00Z")
    log.add_argument(
        "--limit", type=arguments.entries, default=100, help="how many, the last ones (default: %(default)s)"
    )
    log.add_argument("--json", action="store_true", help="print one JSON object a line")
    log.add_argument("--data-dir", type=Path, help="of a running `slotwire up`")
    log.set_defaults(run=_audit)


def _add_webhooks(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The commands for whoever writes a receiver."""
    listening = commands.add_parser(
        "listen",
        help="print events as they happen, and forward them to a receiver on this machine",
        description="Reads the event log of a running Slotwire and POSTs each event as a webhook would, signed, with "
        "no connection from outside. The secret is printed, and stays the same for a key. Waits for a server or a "
        "receiver that is away; what the receiver answers is printed, and not tried again.",
    )
    listening.add_argument(
        "--forward-to", metavar="URL", help="such as localhost:3000/hooks or 3000 (default: print only)"
    )
    listening.add_argument("--events", help="some, separated by commas (default: all)")
    listening.add_argument("--since", type=arguments.instant, help="such as 2026-11-01T00:00:00Z (default: now)")
    listening.add_argument("--header", action="append", default=[], help="to send, too: 'Name: value'; several times")
    listening.add_argument("--print-json", action="store_true", help="print the events as JSON, one a line")
    listening.set_defaults(run=_listen)

    sample = commands.add_parser(
        "trigger",
        help="make a sample of an event, for `slotwire listen` or a webhook",
        description="Records an event that never happened (its sequence is 0). Those who listen hear it, and nobody "
        "else but the webhook that is named.",
    )
    sample.add_argument("event", nargs="?", help="such as booking.created")
    sample.add_argument("--webhook", metavar="ID", help="deliver it there, too, such as whk_…")
    sample.add_argument("--list", action="store_true", help="print the names of all events")
    sample.set_defaults(run=_trigger)

    for command in (listening, sample):
        command.add_argument(
            "--api",
            help="of the server (default: SLOTWIRE_API_URL, that of a running `slotwire up`, or port 8000 here)",
        )
        command.add_argument(
            "--key", help="an API key (default: SLOTWIRE_API_KEY, or the demo's of a running `slotwire up`)"
        )
        command.add_argument("--data-dir", type=Path, help="of a running `slotwire up`")


def _add_checks(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The commands that look at an installation, or prove it."""
    doctor = commands.add_parser("doctor", help="check everything an installation stands on")
    doctor.add_argument("--data-dir", type=Path, help="of a running `slotwire up`")
    doctor.set_defaults(run=_doctor)

    rotation = commands.add_parser(
        "rotate-keys",
        help="bring everything that is sealed under the first key of SLOTWIRE_SECRET_KEYS",
        description="Seals anew, with the first key of SLOTWIRE_SECRET_KEYS, what another one of them opens, and says "
        "which keys may go. Safe beside running processes, as often as you like. Exit code 1: something opens with no "
        "key.",
    )
    rotation.add_argument("--check", action="store_true", help="change nothing, only say what needs which key")
    rotation.add_argument("--data-dir", type=Path, help="of a running `slotwire up`")
    rotation.set_defaults(run=_rotate)

    moved = "future bookings that an update of tzdata has moved on the clock"
    zones = commands.add_parser(
        "zones",
        help=f"list {moved}",
        description=f"List {moved}: their instant is not the wall time any more that was promised. Exit code 1: some.",
    )
    zones.add_argument("--data-dir", type=Path, help="of a running `slotwire up`")
    zones.add_argument("--json", action="store_true", help="print one JSON list")
    zones.set_defaults(run=_zones)

    names = ",".join(scenario.name for scenario in SCENARIOS)
    torture = commands.add_parser(
        "torture",
        help="aim many callers at one slot of a running server, and count the winners",
        description="Aims many callers at one slot, one cap, one session, one pool of units and one of hosts of a "
        "running server, and prints what they were told. It makes people, event types and bookings of its own and "
        "removes them again; webhooks of the organization hear of them. Exit code 1: something did not hold.",
    )
    torture.add_argument("--url", help="of the server (default: that of a running `slotwire up`, or port 8000 here)")
    torture.add_argument(
        "--key", help="an API key (default: SLOTWIRE_API_KEY, or the demo's of a running `slotwire up`)"
    )
    torture.add_argument(
        "--clients", type=arguments.clients, default=200, help="callers at once (default: %(default)s)"
    )
    torture.add_argument("--only", type=_scenarios, default=names, help="some of these (default: %(default)s)")
    torture.add_argument("--yes-remote", action="store_true", help="aim at another machine than this one")
    torture.add_argument("--data-dir", type=Path, help="of a running `slotwire up`")
    torture.set_defaults(run=_torture)


def _scenarios(text: str) -> tuple[str, ...]:
    known = [scenario.name for scenario in SCENARIOS]
    chosen = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen:
        raise argparse.ArgumentTypeError(f"{text!r}: expected some of {','.join(known)}")
    return chosen


def _up(options: argparse.Namespace) -> int:
    return run_up(
        port=options.port,
        host=options.host or os.environ.get("SLOTWIRE_HOST") or "127.0.0.1",
        data_dir=options.data_dir,
        demo=not options.no_demo,
        processes=options.processes,
    )


def _worker(_options: argparse.Namespace) -> int:
    """`app` never imports `workers`, so the worker takes this process's place."""
    load_settings()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "workers.main"])  # noqa: S606 -- no shell is the point


def _migrate(_options: argparse.Namespace) -> int:
    applied = asyncio.run(migrate(_needs_database(load_settings()).database_url))
    for name in applied:
        print(f"ran {name}")
    print(f"the database is up to date ({len(applied)} ran)")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    running = (options.data_dir or _data_dir()) / "run.json"
    return run_doctor(_local_settings(options.data_dir) if running.exists() else load_settings())


def _rotate(options: argparse.Namespace) -> int:
    return run_rotation(_needs_database(_local_settings(options.data_dir)), check=options.check)


def _audit(options: argparse.Namespace) -> int:
    asked = Asked(options.org, options.email, options.action, options.since, options.limit, options.json)
    return run_audit(_needs_database(_local_settings(options.data_dir)), asked)


def _reconcile(options: argparse.Namespace) -> int:
    return run_reconcile(_needs_database(_local_settings(options.data_dir)), Reconciling.of(options))


def _zones(options: argparse.Namespace) -> int:
    return run_zones(_needs_database(_local_settings(options.data_dir)), as_json=options.json)


def _listen(options: argparse.Namespace) -> int:
    names = [name.strip() for name in (options.events or "").split(",") if name.strip()]
    if options.events is not None and not names:
        raise ConfigurationError("--events names none; leave it away for all, or see `slotwire trigger --list`")
    wish = Wish(
        server=_server(options),
        forward_to=receiver_url(options.forward_to) if options.forward_to is not None else None,
        events=check_events("--events", names),
        since=options.since,
        headers=dict(header(each) for each in options.header),
        as_json=options.print_json,
    )
    return run_listen(wish)


def _trigger(options: argparse.Namespace) -> int:
    if options.list:
        return list_events()
    if not options.event:
        raise ConfigurationError("name an event, such as booking.created; `slotwire trigger --list` prints all")
    (event,) = check_events("EVENT", [options.event])
    return run_trigger(_server(options), event, options.webhook)


def _server(options: argparse.Namespace) -> Server:
    url, key = (options.api or os.environ.get("SLOTWIRE_API_URL")), (options.key or os.environ.get("SLOTWIRE_API_KEY"))
    return find_server(url, key, options.data_dir or _data_dir())


def _torture(options: argparse.Namespace) -> int:
    aim = Aim(
        url=options.url,
        key=options.key or os.environ.get("SLOTWIRE_API_KEY"),
        data_dir=options.data_dir or _data_dir(),
        clients=options.clients,
        only=options.only,
        remote=options.yes_remote,
    )
    return run_torture(aim)


def _bootstrap(options: argparse.Namespace) -> int:
    settings = _needs_database(_local_settings(options.data_dir))
    wanted = Wanted(
        organization=options.org,
        email=options.email,
        password=options.password,
        username=options.username,
        timezone=options.timezone,
        scopes=tuple(scope.strip() for scope in options.scopes.split(",") if scope.strip()),
        new_key=options.new_key,
    )
    made = asyncio.run(_run_bootstrap(settings, wanted))
    shown: dict[str, Any] = {
        "org_id": encode(Kind.ORGANIZATION, made.org_id),
        "user_id": encode(Kind.USER, made.user_id),
        "username": made.username,
        "api_key": made.api_key,
    }
    if made.api_key is None:
        del shown["api_key"]
    if options.json:
        print(json.dumps(shown))
        return 0
    for name, value in shown.items():
        print(f"{name:9} {value}")
    if made.api_key is None:
        print("It exists already, and a key is shown only once; --new-key makes another.")
    return 0


async def _run_bootstrap(settings: Settings, wanted: Wanted) -> Bootstrapped:
    await migrate(settings.database_url)
    vault = Vault(settings.secret_keys)
    async with db.open_pool(settings.database_url, size=1, name="slotwire-bootstrap") as pool, db.acquire(pool) as conn:
        return await db.run(conn, lambda conn: bootstrap(conn, wanted, vault, datetime.now(UTC)))


def _openapi(_options: argparse.Namespace) -> int:
    """The bytes themselves: what a terminal's encoding would make of them is another document."""
    sys.stdout.buffer.write(openapi())
    return 0


def _needs_database(settings: Settings) -> Settings:
    if not settings.database_url:
        raise ConfigurationError(
            "no database: set SLOTWIRE_DATABASE_URL, or start `slotwire up` and name its directory with --data-dir"
        )
    return settings


def _data_dir() -> Path:
    return Path(os.environ.get("SLOTWIRE_DATA_DIR") or ".slotwire")


def _local_settings(data_dir: Path | None) -> Settings:
    """The environment's settings; without SLOTWIRE_DATABASE_URL, those of the `slotwire up` on the directory."""
    folder = data_dir or _data_dir()
    running = folder / "run.json"
    if os.environ.get("SLOTWIRE_DATABASE_URL"):
        return load_settings()
    if not running.exists():
        raise ConfigurationError(
            f"no database: no `slotwire up` runs on {folder}, and SLOTWIRE_DATABASE_URL is not set; "
            "start `slotwire up`, name its directory with --data-dir, or set the variable"
        )
    facts = json.loads(running.read_text())
    chosen = {name: facts[name] for name in ("database_url", "redis_url", "base_url", "port") if facts.get(name)}
    keys = folder / "secret_keys"
    if not os.environ.get("SLOTWIRE_SECRET_KEYS") and keys.exists():
        chosen["secret_keys"] = keys.read_text().strip()
    return load_settings(env=os.environ.get("SLOTWIRE_ENV", "development"), data_dir=folder, **chosen)


if __name__ == "__main__":
    sys.exit(main())
