"""The fault suite: real daemons on a world that breaks, over simulated hours.

`python -m tests.faults` writes docs/faults.md; `make test` runs fewer moments and prints the table.
"""
