# Two commands for a new machine: `make tour` and `make test`. Each makes the environment .venv if it is missing.
PYTHON ?= python3
BIN := .venv/bin
# Files of tests go to one process a core, four at most (each holds torch), and each computes with one thread.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: tour test test-thorough test-slow check docs bench bench-gpu clean
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
	$(PYTEST)

test-thorough: .venv/.dev  ## pages in a browser, processes that are killed, what the documentation shows
	$(PYTEST) -m 'thorough and not slow and not gpu and not network'

test-slow: .venv/.dev  ## all tests that need neither a GPU nor the network
	$(PYTEST) -m 'not gpu and not network'

check: .venv/.dev  ## linters, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/.dev  ## the documentation as a site: docs/_build/html/index.html
	$(BIN)/sphinx-build -E -W -n --keep-going -q -b html docs docs/_build/html

bench: .venv/.dev  ## the plain way and ours, timed in turns on this machine's processor
	$(BIN)/python -m benchmarks

bench-gpu: .venv/.dev  ## the same on a GPU, for large models
	$(BIN)/python -m benchmarks.gpu

clean:  ## remove the environment and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
