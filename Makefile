# From nothing to a running demo: `make demo`. Everything that is made lies in .venv/, .setup/ and out/.

# Which ROS 2 to install where none is sourced: jazzy or kilted.
ROS ?= jazzy
# The Python to build on (3.10 to 3.12); by default the first that fits.
PYTHON ?=
# jazzy has the plain name; another ROS 2 gets an environment beside it.
VENV ?= $(CURDIR)/.venv$(if $(filter-out jazzy,$(ROS)),-$(ROS))
# What pytest is told, e.g. `make test PYTEST="-m 'not slow' -k prompt"`.
PYTEST ?=

export GSAM_VENV := $(abspath $(VENV))
env = . scripts/env.sh &&
python = $(env) $(GSAM_VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo bench test lint format colcon lock clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*##/  make \1 -/p' $(firstword $(MAKEFILE_LIST))

setup:  ## the virtual environment with ROS 2, torch and this package's messages
	@python=$$(PYTHON="$(PYTHON)" sh scripts/check_tools.sh) && \
		"$$python" scripts/set_up.py --venv "$(GSAM_VENV)" --ros $(ROS)

demo: setup  ## play a sample recording through the node and score the result, into out/demo
	@$(python) -m gsam_ros.cli demo --out out/demo

bench: setup  ## compare speed, memory and accuracy with what one would otherwise pick, into out/bench
	@$(python) benchmark/bench.py --out out/bench

test: lint colcon  ## lint, types, the colcon build, then every test
	@$(python) scripts/run_tests.py $(PYTEST)

lint: setup  ## ruff and mypy
	@$(env) ruff check . && ruff format --check . && mypy

format: setup  ## put the sources into ruff's format
	@$(env) ruff check --fix . ; ruff format .

colcon: setup  ## build and install the package as a ROS 2 workspace would
	@$(python) scripts/colcon_check.py .setup/colcon

lock:  ## renew requirements/lock.txt (needs uv)
	@sh scripts/lock.sh

clean:  ## remove everything that was made here
	rm -rf .venv .venv-* .setup out build install log .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
