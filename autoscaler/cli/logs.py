"""Logs: one line per event on stderr, as text for people or JSON for a collector."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def configure(form: str | None, level: int) -> Any:
    """`form` is text, json or None (text on a terminal). Returns the logger.

    The libraries' own logging (aiohttp, kubernetes) goes the same way, from warnings up.
    """
    form = form or ("text" if sys.stderr.isatty() else "json")
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, _renderer(form)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(form),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    # "Config not found" is ours to say, with what follows from it.
    logging.getLogger("kubernetes").setLevel(logging.ERROR)
    return structlog.get_logger()


def _renderer(form: str) -> Any:
    if form == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    from autoscaler.cli.output import colors

    return structlog.dev.ConsoleRenderer(colors=colors() and sys.stderr.isatty(), pad_event_to=0)
