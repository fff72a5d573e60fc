"""What stands between fork and exec of every child: whose rights it has, and that it cannot outlive us.

The one rule: the standard library only, and nothing of ours. The file is started by its path (`python -I -S`)
so that it costs some 20 ms, needs no `preexec_fn` (which may deadlock under threads) and leaves no trace:
it execs the real program, which keeps its process number.

The order matters: the kernel forgets the parent-death signal when a process changes its rights, so the
rights come first, the signal second, and the look whether the parent still lives last.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000

# How a probe ends, see `main`.
GRANTED, REFUSED, UNREACHABLE = 0, 3, 4

# The identity that changes nothing.
SAME_USER = "-"


def wrap(argv: Sequence[str], *, death_signal: signal.Signals, identity: str = SAME_USER) -> list[str]:
    """Return the command that becomes `argv` and gets `death_signal` when this process dies.

    Call Popen from a thread that lives as long as the child should: Linux sends the signal when the thread
    that started the child ends. Other systems have no such signal; there the child runs without one.
    """
    return [*_launcher(), "run", str(os.getpid()), str(int(death_signal)), identity, *argv]


def probe(identity: str, paths: Sequence[str]) -> list[str]:
    """Return the command that ends with GRANTED when `identity` can be taken on and reaches all of `paths`.

    It ends with REFUSED when the system does not allow the change, and with UNREACHABLE, and the path
    on its standard output, when a path cannot be entered or executed.
    """
    return [*_launcher(), "probe", identity, *paths]


def _launcher() -> list[str]:
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve())]


def _take_on(identity: str) -> None:
    """Become `namespace:UID` (root of nothing, seen as UID) or `user:UID:GID`. Raises OSError if refused."""
    kind, _, rest = identity.partition(":")
    if kind == "namespace":
        _enter_namespace(int(rest))
    elif kind == "user":
        uid, gid = (int(part) for part in rest.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def _enter_namespace(uid: int) -> None:
    """See ourselves as the ordinary user `uid` while files stay ours: PostgreSQL refuses to run as root."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    proc = Path("/proc/self")
    (proc / "uid_map").write_text(f"{uid} {outer_uid} 1")
    # The kernel takes a gid map from the process itself only after it has given up setgroups.
    (proc / "setgroups").write_text("deny")
    (proc / "gid_map").write_text(f"{uid} {outer_gid} 1")


def _die_with(parent: int, death_signal: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    # A parent that died before the call above sends nothing any more.
    if os.getppid() != parent:
        sys.exit(1)


def _probe(identity: str, paths: Sequence[str]) -> int:
    try:
        _take_on(identity)
    except OSError:
        return REFUSED
    for path in paths:
        if not os.access(path, os.X_OK):
            print(path)
            return UNREACHABLE
    return GRANTED


def main(arguments: Sequence[str]) -> int:
    """`probe IDENTITY PATH...` or `run PARENT SIGNAL IDENTITY PROGRAM ARGUMENT...`; the latter does not return."""
    if arguments[0] == "probe":
        return _probe(arguments[1], arguments[2:])
    parent, death_signal, identity = int(arguments[1]), int(arguments[2]), arguments[3]
    try:
        _take_on(identity)
        _die_with(parent, death_signal)
        # A blocked signal stays blocked over exec: a child that nobody can stop.
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execv(arguments[4], list(arguments[4:]))  # noqa: S606 -- no shell is the point
    except OSError as error:
        print(f"FATAL: cannot start {arguments[4]}: {error}", file=sys.stderr)
    return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
