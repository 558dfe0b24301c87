"""Model repositories of toy models for a real Triton."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_CODE = Path(__file__).parent / "toy_model" / "model.py"


@dataclass(frozen=True)
class ToyModel:
    """One execution takes `delay_s`: capacity = instances * max_batch_size / delay_s per second."""

    name: str
    delay_s: float = 0.01
    max_batch_size: int = 8
    max_queue_size: int = 0
    """Requests beyond it are refused; 0 is Triton's own default: no bound."""
    instances: int = 1
    max_queue_delay_us: int = 0


def model_repository(path: Path, models: Sequence[ToyModel]) -> Path:
    for model in models:
        version = path / model.name / "1"
        version.mkdir(parents=True, exist_ok=True)
        shutil.copy(_CODE, version / "model.py")
        (path / model.name / "config.pbtxt").write_text(_config(model))
    return path


def _config(model: ToyModel) -> str:
    return f"""\
name: "{model.name}"
backend: "python"
max_batch_size: {model.max_batch_size}
input [{{ name: "INPUT" data_type: TYPE_FP32 dims: [ 1 ] }}]
output [{{ name: "OUTPUT" data_type: TYPE_FP32 dims: [ 1 ] }}]
instance_group [{{ kind: KIND_CPU count: {model.instances} }}]
dynamic_batching {{
  max_queue_delay_microseconds: {model.max_queue_delay_us}
  default_queue_policy {{ max_queue_size: {model.max_queue_size} }}
}}
parameters [{{ key: "delay_s" value: {{ string_value: "{model.delay_s!r}" }} }}]
"""
