"""All figures: python -m bench [decide] [tick] [cli] [signals] [reaction] [metrics-api] [hpa]
[watch-memory] [writes] [failover] [simulate] [forecast] [backtest]
"""

from __future__ import annotations

import importlib
import sys

ALL = (
    "decide",
    "tick",
    "cli",
    "signals",
    "reaction",
    "metrics-api",
    "hpa",
    "watch-memory",
    "writes",
    "failover",
    "simulate",
    "forecast",
    "backtest",
)

if __name__ == "__main__":
    asked = sys.argv[1:] or ALL
    unknown = sorted(set(asked) - set(ALL))
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}: there are {', '.join(ALL)}")
    for name in asked:
        importlib.import_module(f"bench.{name.replace('-', '_')}").main()
