"""When to try a delivery again: ten attempts in some 75 hours, as Standard Webhooks recommends.

The one rule: nothing is random or read from a clock here; the jitter comes in as a number.
"""

DELAYS_SECONDS = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
_JITTER = 0.1
_LONGEST_SECONDS = 86_400


def next_delay(attempts: int, jitter: float, retry_after: int | None) -> float | None:
    """Seconds to wait after so many failed attempts, or None when there were enough.

    jitter: 0 to 1, spreads each delay over 10 % of itself, so that receivers that failed together do not all come
    back together. retry_after: seconds that the receiver asked for; honoured up to a day, never shortening a delay.
    """
    if attempts >= len(DELAYS_SECONDS):
        return None
    delay = DELAYS_SECONDS[attempts] * (1 + _JITTER * jitter)
    return max(delay, min(retry_after or 0, _LONGEST_SECONDS))
