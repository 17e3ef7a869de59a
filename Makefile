# `make demo` and `make test` work on a fresh machine: each makes .venv and installs what is pinned.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: setup demo test proof lint types bench bench-quick clean

setup: $(STAMP)

# torch comes first and pinned: an unpinned one brings gigabytes of CUDA.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[tpe,s3,demo,bench,dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/python examples/flights/build.py --out data/flights
	$(BIN)/caviar run examples/flights/demo.yaml

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

# a file is one process's: its cluster starts once; half of the time is waiting, so two share the cores well
test: lint types
	$(PYTEST)

# what is long: machines that are lost, whole deployments, kills at every moment
proof: $(STAMP)
	$(PYTEST) -m slow

# all of it, on a quiet machine: under half an hour; writes benchmarks/RESULTS.md
bench: $(STAMP)
	$(BIN)/python -m benchmarks

# small sizes: whether all of it works
bench-quick: $(STAMP)
	$(BIN)/python -m benchmarks --quick

clean:
	rm -rf $(VENV) .caviar data
