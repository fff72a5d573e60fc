"""Logs: one JSON object a line on standard error, with the request's id on every line written while it is served.

The one rule: a line never holds a secret, a token or an attendee's contact data. Handlers log ids and codes; paths are
logged as route patterns, because a path itself can hold a token.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def _dumps(value: Any, **_: Any) -> bytes:
    try:
        return orjson.dumps(value, default=str)
    except TypeError:
        # half a character, as a foreign server's answer may hold: a log line must not end a process
        return orjson.dumps({name: repr(each) for name, each in value.items()})


def _summarize_exception(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Type, first line and frames. Never local variables, nor the database's DETAIL lines, which quote values."""
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    if error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        event["error"] = {
            "type": type(error).__name__,
            "message": (str(error).splitlines() or [""])[0][:300],
            "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        }
    return event


def set_up_logs(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _summarize_exception,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    # libraries' own warnings come out as JSON too
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _summarize_exception,
                structlog.processors.JSONRenderer(serializer=lambda value, **_: _dumps(value).decode()),
            ],
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # it warns of every cookie that is not ours: anybody could fill the log
    logging.getLogger("aiohttp_session").setLevel(logging.ERROR)
    # and of every message of an agent's that makes no sense
    logging.getLogger("mcp").setLevel(logging.ERROR)


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(component=name)
    return bound
