# Everything a developer types. CI types `make check`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

.PHONY: help serve test check check-graph check-slow lint format types layers schema coverage bench-attack bench-promote bench-redirect bench-reports bench-tables lock clean

help:       ## Show this list
	@awk 'BEGIN {FS = ":.*##"} /^[a-z-]+:.*##/ {printf "  %-14s %s\n", $$1, $$2}' Makefile

serve: $(VENV)/.serve ## Set everything up and serve the demo on http://127.0.0.1:8000
	$(BIN)/tracklinks serve --demo

test: $(VENV)/.dev ## Run the tests, on SQLite and on PostgreSQL
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 -m "not slow and not tools"

check: lint types layers browser test check-graph ## Everything that CI runs

check-graph: $(VENV)/.dev checks/node_modules/.package-lock.json ## The graph against its clients' tools (needs Node.js)
	$(BIN)/python -m pytest -q -m "tools and not slow"

.PHONY: browser
browser:    ## Install what the browser tests need, where it is missing
	.ci/install-browser

check-slow: $(VENV)/.dev ## The long forms of the tests: an hour and more
	$(BIN)/python -m pytest -q -m slow

lint: $(VENV)/.dev ## ruff check, ruff format --check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## Let ruff write what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## mypy --strict
	$(BIN)/mypy

layers: $(VENV)/.dev ## import-linter: who may import whom
	$(BIN)/lint-imports

schema: $(VENV)/.dev ## Write schema.graphql
	$(BIN)/tracklinks schema > schema.graphql

coverage: $(VENV)/.dev ## The tests under coverage: slower, and says which lines nobody tried
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -m "not slow"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench-attack: $(VENV)/.dev ## Following links while the graph is under attack (needs wrk)
	$(BIN)/python -m bench.attack

bench-promote: $(VENV)/.dev ## One call that promotes 1,000 creators into 3,000 links, one that writes to them all
	$(BIN)/python -m bench.promote

bench-redirect: $(VENV)/.dev ## Our redirect against a bare and a naive one (needs wrk)
	$(BIN)/python -m bench.redirect

bench-tables: $(VENV)/.dev ## The server's memory while it sends a CSV of a million rows
	$(BIN)/python -m bench.tables

bench-reports: $(VENV)/.dev ## A campaign's report over 10 million clicks beside one over 100 thousand
	$(BIN)/python -m bench.reports

# Locks carry hashes and no address; `uv` is needed for this target only.
lock: ## Resolve the newest allowed versions into requirements/*.txt
	uv pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --custom-compile-command "make lock" --upgrade --quiet --output-file requirements/serve.txt
	uv pip compile pyproject.toml --group build --group dev --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --custom-compile-command "make lock" --quiet --constraint requirements/serve.txt --output-file requirements/dev.txt

# npm writes the file when it is done; the touch is for a lock that was merely checked out later.
checks/node_modules/.package-lock.json: checks/package-lock.json
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null && command -v npm >/dev/null || \
	  { echo "make check-graph needs Node.js 20 or newer and npm: install them from https://nodejs.org or your system's packages." >&2; exit 1; }
	npm ci --prefix checks --no-audit --no-fund --ignore-scripts --loglevel error
	@touch $@

clean:      ## Remove what make and the demo made
	rm -rf $(VENV) .data .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis \
	  checks/node_modules checks/generated examples/clients/typescript/generated

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: $(VENV)/bin/python requirements/serve.txt pyproject.toml
	$(PIP_INSTALL) --require-hashes -r requirements/serve.txt
	$(PIP_INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python requirements/dev.txt pyproject.toml
	$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	$(PIP_INSTALL) --no-build-isolation --editable .
	@touch $@ $(VENV)/.serve
