# Two commands: `make run` starts the service, `make test` runs all tests. `make check` is what a change must pass.
PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test check lock clean

run: .venv/.runtime
	$(BIN)/earlywarning run $(if $(MUNICIPALITY),--municipality $(MUNICIPALITY))

test: .venv/.development
	$(BIN)/python -m pytest

check: .venv/.development
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; install it, or name it: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "The Python module venv is missing (on Debian: apt install python3-venv)"; exit 1; }

# Byte code is compiled at install, so that no start pays for it.
.venv/.runtime: requirements.lock pyproject.toml | .venv/bin/python
	@echo "Setting up (once) ..."
	@$(PIP) install --compile --require-hashes -r requirements.lock
	@$(PIP) install --compile --no-deps --no-build-isolation -e .
	@touch $@

.venv/.development: requirements-dev.lock pyproject.toml | .venv/bin/python
	@echo "Setting up (once) ..."
	@$(PIP) install --compile --require-hashes -r requirements-dev.lock
	@$(PIP) install --compile --no-deps --no-build-isolation -e .
	@touch $@ .venv/.runtime

LOCK := $(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-trusted-host --strip-extras --allow-unsafe \
	--no-header --extra parquet --extra postgresql

lock: .venv/.development
	$(PIP) install pip-tools
	$(LOCK) --group build -o requirements.lock pyproject.toml
	$(LOCK) --group build --group dev -o requirements-dev.lock pyproject.toml

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
