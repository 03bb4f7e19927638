# The verbs of the project; .ci/run calls `check` and `test`. The only thing needed beforehand is Python 3.11.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CODE := bosd clients tests tools $(wildcard bench)
WORKERS ?= 3
STEPS ?= 1000000
SEED ?= 0
ARGS ?=
# Without it each worker, and each program a test starts, would compile all it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test test-long soak check bench proto fmt lock clean

help: ## list the verbs
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 11

setup: $(STAMP) ## create .venv with everything of constraints.txt

$(STAMP): pyproject.toml constraints.txt tools/setup.sh
	@PYTHON="$(PYTHON)" tools/setup.sh $(VENV)
	@touch $@

run: $(STAMP) ## the demo: two nodes, three simulated packs, a live table (ARGS="--seconds 20 --json")
	@$(BIN)/bosd demo $(ARGS)

test: $(STAMP) ## all tests (ARGS="tests/unit -k codec" for some)
	@tools/debian.sh systemd-analyze=systemd nft=nftables
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --max-worker-restart 0 $(ARGS)

test-long: $(STAMP) ## the properties with 5,000 examples each, 200 crash rounds, 32 nodes, a million steps (STEPS=)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --timeout 1800 --hypothesis-profile long tests/property $(ARGS)
	BOSD_CRASH_ROUNDS=200 $(BIN)/python -m pytest tests/integration/test_crash_rounds.py
	BOSD_FLEET_NODES=32 $(BIN)/python -m pytest --timeout 300 tests/integration/test_fleet_scale.py
	$(BIN)/python -m tests.property.test_bal_long --steps $(STEPS) --seed $(SEED)

soak: $(STAMP) ## hours: thousands of seeds, sessions at full timers, a whole day, load (ARGS="seeds --seed 341", "load --minutes 1 --json")
	@$(BIN)/python -m tests.soak $(ARGS)

check: $(STAMP) ## format, lint, types, layers, generated stubs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/proto.py --check
	@! grep -rnEw --include='*.py' --include='*.proto' --include='*.toml' --include='*.service' 'TODO|FIXME|XXX' bosd clients proto systemd

bench: $(STAMP) ## measure, print a table, write bench/results.json
	$(BIN)/python -m bench $(ARGS)

proto: $(STAMP) ## generate bosd/v1 from proto/
	$(BIN)/python tools/proto.py

fmt: $(STAMP) ## format, and mend what can be mended safely
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(STAMP) ## resolve all dependencies anew and pin what comes out in constraints.txt
	$(BIN)/python tools/lock.py

clean: ## remove what can be made again
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
