"""What this machine calls itself, where a setting or a caller names a host.

The one rule: a name that is not here is another machine's, even if it leads to this one.
"""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
