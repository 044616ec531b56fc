# Needs Python 3.11 or later, and make. Everything goes into .venv and data/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up

.DEFAULT_GOAL := help
.PHONY: help setup demo up test test-fast lint format docs lock clean

help: ## Show what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: $(STAMP) ## Make .venv with everything

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; say which: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/retail init
	@touch $(STAMP)

demo: $(STAMP) ## Make up a shop of 90 days, start Dagster on port 3000, and let it load them; HEADLESS=1 ends by itself
	$(BIN)/retail demo $(if $(HEADLESS),--headless) $(if $(PORT),--port $(PORT))

up: $(STAMP) ## Start Dagster on port 3000
	$(BIN)/retail up $(if $(PORT),--port $(PORT))

test: lint test-fast ## Lint, type-check, and run every test: the fast ones first
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile

test-fast: $(STAMP) ## Run the fast tests only
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

lint: $(STAMP) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check

format: $(STAMP) ## Put the code into house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP) ## Write docs/tables.md anew from the contracts
	$(BIN)/python -m retail_platform.commands.dictionary > docs/tables.md.new
	mv docs/tables.md.new docs/tables.md

lock: $(STAMP) ## Pin every dependency again, with hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" --group dev pyproject.toml -o requirements.txt

clean: ## Remove .venv and what tools left; data/ stays
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -exec rm -rf {} +
