"""`schema`: JSON Schemas of what goes in and what comes out."""

from __future__ import annotations

import json
from typing import Any

import click

DIALECT = "https://json-schema.org/draft/2020-12/schema"
KINDS = ("policy", "budget", "observation", "decision", "state", "journal")


@click.command("schema")
@click.argument("kind", type=click.Choice(KINDS), default="policy")
@click.option("-o", "--output", type=click.Choice(["json"]), default="json", show_default=True)
def command(kind: str, output: str) -> None:  # noqa: ARG001 -- one form today
    """Print the JSON Schema (2020-12) of a policy file or of one JSON line.

    policy (default), budget: the YAML that `validate` checks; for editors. observation, decision:
    what `decide` reads and writes. state: what survives between ticks. journal: one line of it.
    """
    click.echo(json.dumps(schema_of(kind), indent=2, ensure_ascii=False))


schema = command


def schema_of(kind: str) -> dict[str, Any]:
    """Raises KeyError for a kind that is not in KINDS."""
    if kind in {"policy", "budget"}:
        from autoscaler.policy import schema as policy_schema

        return policy_schema("ScalingPolicy" if kind == "policy" else "GpuBudget")
    from autoscaler import model, wire

    kinds: dict[str, type[Any]] = {
        "observation": model.Observation,
        "decision": model.Decision,
        "state": model.State,
        "journal": wire.JournalLine,
    }
    return {"$schema": DIALECT, **wire.json_schema(kinds[kind])}
