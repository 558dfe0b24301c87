"""Takes `delay_s` for every execution, whatever the batch; echoes its input."""

import json
import time
from typing import Any

import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        parameters = json.loads(args["model_config"])["parameters"]
        self.delay_s = float(parameters["delay_s"]["string_value"])

    def execute(self, requests: list[Any]) -> list[Any]:
        time.sleep(self.delay_s)
        return [pb_utils.InferenceResponse([_echo(request)]) for request in requests]


def _echo(request: Any) -> Any:
    taken = pb_utils.get_input_tensor_by_name(request, "INPUT")
    return pb_utils.Tensor("OUTPUT", taken.as_numpy())
