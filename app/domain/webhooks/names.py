"""Looking names up without a thread: c-ares, driven by the event loop.

The one rule: a look-up costs a socket and a timer, and never makes another one wait. getaddrinfo would block one of a
few threads for as long as a name server is silent; with as many such names nobody's deliveries went out. (c-ares has a
thread of its own to offer, too; this needs none.)
"""

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path

import pycares
from pycares import ARES_SOCKET_BAD, AddrInfoResult

from app.core.settings import split_nameserver

# The first wait for a name server, and how often it is asked: each time it may take twice as long, up to five seconds,
# so that one that is slow with a name is waited for about as long as an attempt may take.
_SECONDS, _TRIES = 2.0, 6
_SHORTEST_PAUSE_SECONDS = 0.005
# c-ares keeps every answer for as long as its TTL says, up to an hour, however many there are. pycares has no option
# against that; so it is made to forget.
_KEPT_SECONDS, _KEPT_ANSWERS = 10.0, 500
_RESOLV_CONF = Path("/etc/resolv.conf")
# Where no name server is (RFC 5737); never asked.
_NOBODY = "192.0.2.1:9"
# Nobody answered: perhaps the system asks somebody else by now.
_UNREACHED = frozenset({pycares.errno.ARES_ETIMEOUT, pycares.errno.ARES_ECONNREFUSED})


class NameNotResolved(OSError):
    """code: c-ares's own, none where it was not asked. Not OSError's: its numbers mean something else there."""

    def __init__(self, reason: str, code: int | None = None) -> None:
        super().__init__(reason)
        self.code = code


class Names:
    """One client of some name servers; whoever made it closes it. nameservers: none named means whom the system asks.
    The hosts file goes first, unless the system says otherwise. What a name server changes is seen within ten seconds,
    whatever its TTL says."""

    def __init__(self, nameservers: Sequence[str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._reads: set[int] = set()
        self._writes: set[int] = set()
        # also those that nobody waits for any more: they, too, have to end
        self._pending: set[asyncio.Future[AddrInfoResult]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._asked, self._forgot_at = 0, self._loop.time()
        self._chosen = [_in_c_ares_words(each) for each in nameservers]
        # without `lookups`: pycares frees that text before c-ares reads it, and a channel that got other words finds
        # nothing for as long as it lives
        self._channel = pycares.Channel(servers=self._chosen, timeout=_SECONDS, tries=_TRIES, sock_state_cb=self._watch)
        self._servers = self._chosen or self._channel.servers
        # named either way, so that to forget is the same for both
        self._channel.servers = self._servers

    async def look_up(self, host: str, family: int = socket.AF_UNSPEC) -> list[tuple[int, str]]:
        """(family, address) of every address, at least one. Raises NameNotResolved."""
        if self._closed:
            raise NameNotResolved("closed")
        future: asyncio.Future[AddrInfoResult] = self._loop.create_future()
        self._pending.add(future)

        def answered(result: AddrInfoResult, error: int | None) -> None:
            self._pending.discard(future)
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(NameNotResolved(str(pycares.errno.strerror(error)), error))

        try:
            self._forget_in_time()
            self._channel.getaddrinfo(
                host, None, family=socket.AddressFamily(family), type=socket.SOCK_STREAM, callback=answered
            )
            self._set_timer()
            result = await future
        except (pycares.AresError, UnicodeError) as error:
            self._pending.discard(future)
            raise NameNotResolved(str(error)) from None
        except NameNotResolved as error:
            if error.code in _UNREACHED and not self._chosen and not self._closed:
                self._ask_whom_the_system_asks()
            raise
        found = [(node.family, node.addr[0].decode().partition("%")[0]) for node in result.nodes]
        if not found:
            raise NameNotResolved("the name has no address")
        return found

    def close(self) -> None:
        """What is being looked up fails at once."""
        if self._closed:
            return
        self._channel.cancel()
        self._closed = True
        if self._timer:
            self._timer.cancel()
        for fd in self._reads:
            self._loop.remove_reader(fd)
        for fd in self._writes:
            self._loop.remove_writer(fd)
        self._channel.close()

    def _forget_in_time(self) -> None:
        """What is being looked up goes on. c-ares forgets when its name servers change. (A new channel would not know
        which of them are silent, and `reinit` is work for a thread, which may close sockets that are watched here.)"""
        self._asked += 1
        if self._asked <= _KEPT_ANSWERS and self._loop.time() < self._forgot_at + _KEPT_SECONDS:
            return
        self._asked, self._forgot_at = 0, self._loop.time()
        self._channel.servers = [*self._servers, _NOBODY]
        self._channel.servers = self._servers

    def _ask_whom_the_system_asks(self) -> None:
        """Where it names nobody that can be read, those whom it named before."""
        try:
            lines = _RESOLV_CONF.read_text(errors="replace").splitlines()
            found = [words[1] for words in map(str.split, lines) if len(words) > 1 and words[0] == "nameserver"]
            self._channel.servers = found or self._servers
        except (OSError, ValueError, pycares.AresError):
            return
        self._servers = found or self._servers

    def _watch(self, fd: int, readable: bool, writable: bool) -> None:
        """c-ares says what it waits for on a socket; nothing before it closes one."""
        if self._closed:
            return
        if readable:
            self._reads.add(fd)
            self._loop.add_reader(fd, self._process, fd, ARES_SOCKET_BAD)
        elif fd in self._reads:
            self._reads.discard(fd)
            self._loop.remove_reader(fd)
        if writable:
            self._writes.add(fd)
            self._loop.add_writer(fd, self._process, ARES_SOCKET_BAD, fd)
        elif fd in self._writes:
            self._writes.discard(fd)
            self._loop.remove_writer(fd)

    def _process(self, read_fd: int = ARES_SOCKET_BAD, write_fd: int = ARES_SOCKET_BAD) -> None:
        """Something has come, or a time is over."""
        if not self._closed:
            self._channel.process_fd(read_fd, write_fd)
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None
        if self._pending:
            pause = max(_SHORTEST_PAUSE_SECONDS, self._channel.timeout())  # type: ignore[no-untyped-call]
            self._timer = self._loop.call_later(pause, self._process)


def _in_c_ares_words(nameserver: str) -> str:
    address, port = split_nameserver(nameserver)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
