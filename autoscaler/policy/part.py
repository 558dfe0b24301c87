"""What every mapping of a document has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from autoscaler.model import camel


class Part(BaseModel):
    """A mapping of the document: camelCase, nothing unknown."""

    model_config = ConfigDict(alias_generator=camel, extra="forbid", frozen=True)
