# Each target sets up what it needs by itself, in .venv and in the test bed's cache
# (~/.cache/triton-autoscaler, or $TRITON_AUTOSCALER_CACHE). No root, nothing global.

PYTHON ?= python3
UV_VERSION := 0.13.8
READY := .venv/.ready
BIN := .venv/bin
# Compiled once: the tests start the daemon hundreds of times, and compiling it takes five seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-quick testbed cluster lint format plots bench compare clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(READY): pyproject.toml uv.lock
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) found: install Python 3.11 or newer, or make PYTHON=/path/to/python" >&2; exit 3; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: make PYTHON=/path/to/python3.11" >&2; exit 3; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@echo "setting up .venv …" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv sync --quiet --locked --inexact --compile-bytecode
	@touch $@

demo: $(READY)  ## watch a simulated fleet kept inside its SLA; leaves out/demo.html
	@$(BIN)/triton-autoscaler demo --out out/demo.html

testbed: $(READY)  ## build the real parts for the tests (once, about 16 minutes on 2 cores)
	@$(BIN)/python -m tests.testbed build

cluster: $(READY)  ## a real control plane on loopback, for a person; prints a KUBECONFIG
	@$(BIN)/python -m tests.testbed cluster

test: $(READY)  ## everything, against the real parts
	@$(BIN)/pytest

test-quick: $(READY)  ## what needs no real parts and starts no daemon: under a minute
	@$(BIN)/pytest -q -m "not real" --ignore tests/unit/cli/test_daemon.py \
		tests/unit tests/properties tests/oracle tests/golden

lint: $(READY)  ## ruff, mypy --strict, the layers, the examples
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted: make format" >&2; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/triton-autoscaler validate policies/examples

format: $(READY)
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

bench: $(READY)  ## the figures, one JSON object a line
	@$(BIN)/python -m bench

compare: $(READY)  ## ours beside HPA, KEDA, KPA at equal cost: docs/compare.md (AGAIN=ours, RESUME=1, QUICK=1)
	@$(BIN)/python -m autoscaler.sim.compare $(if $(QUICK),--quick) $(if $(RESUME),--resume) $(AGAIN:%=--again %)

plots: $(READY)  ## the plots in docs/plots, from the recordings
	@$(BIN)/python -m tests.stories.h200_plot docs/plots/h200-4gpu.html
	@$(BIN)/python -m tests.stories.fidelity docs/plots/fidelity.html

clean:
	rm -rf .venv out .mypy_cache .ruff_cache .pytest_cache .hypothesis
