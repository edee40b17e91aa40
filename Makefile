# Two commands for a new machine: `make tour` and `make test`. Each makes the environment .venv if it is missing.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: tour test test-slow check clean
.DEFAULT_GOAL := tour

# torch comes first and pinned: other packages' wider ranges would pull a build with gigabytes of CUDA libraries.
.venv/.user: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install --quiet --constraint constraints.txt torch
	$(PIP) install --quiet --constraint constraints.txt --editable '.[report,studio]'
	@touch $@

.venv/.dev: .venv/.user
	$(PIP) install --quiet --constraint constraints.txt --requirement requirements-dev.txt
	@touch $@

tour: .venv/.user  ## everything on one page: tour/report.html
	$(BIN)/sfumato tour --out tour

test: .venv/.dev  ## the fast tests
	$(BIN)/python -m pytest

test-slow: .venv/.dev  ## all tests that need neither a GPU nor the network
	$(BIN)/python -m pytest -m 'not gpu and not network'

check: .venv/.dev  ## linters, types, layers
	$(BIN)/ruff check src tests tools
	$(BIN)/ruff format --check src tests tools
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:  ## remove the environment and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
