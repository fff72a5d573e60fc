"""What was seen a moment ago: a bounded memory, the one that the process's small caches share.

The one rule: it forgets. Beyond `most` entries the least recently used one goes; after `age` an entry is as if it had
never been. Whether what it still holds may be trusted is for whoever asks to find out.
"""

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    def __init__(self, *, most: int, age: timedelta) -> None:
        self._kept: OrderedDict[Key, tuple[Value, datetime]] = OrderedDict()
        self._most = most
        self._age = age

    def recall(self, key: Key, now: datetime) -> Value | None:
        kept = self._kept.get(key)
        if kept is None or now - kept[1] > self._age:
            return None
        self._kept.move_to_end(key)
        return kept[0]

    def remember(self, key: Key, value: Value, now: datetime) -> None:
        self._kept[key] = (value, now)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
