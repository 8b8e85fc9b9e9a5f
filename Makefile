# Two commands: `make run` starts the service, `make test` runs all tests. `make check` is what a change must pass.
# The tested versions first; one that does not start (a pyenv shim, say) or cannot make an environment is passed over.
PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test check fuzz mutants soak torture coverage audit lock sbom wheel clean

run: .venv/.runtime
	@$(BIN)/earlywarning run $(if $(MUNICIPALITY),--municipality '$(MUNICIPALITY)')

# A process for each core and two more; a file's tests stay together, since they share what takes long to set up, and the longest
# come first (tests/conftest.py).
test: .venv/.development
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

# An hour at ten times a large municipality's load; samples, figures and a picture in dist/soak.
soak: .venv/.development
	$(BIN)/python benchmarks/soak.py --minutes $(or $(MINUTES),60) --out dist/soak

# The long versions of tests/faults; rows.jsonl and results.json in dist/torture.
torture: .venv/.development
	$(BIN)/python -m tests.faults.torture --kills $(or $(KILLS),100) --out dist/torture

check: .venv/.development
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with its venv module is needed (on Debian: apt install python3-venv)," \
	    "or name one: make PYTHON=/path/to/python $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv

# Byte code is compiled at install, so that no start pays for it.
.venv/.runtime: requirements.lock pyproject.toml | .venv/bin/python
	@echo "Setting up (once) ..."
	@$(PIP) install --compile --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q src
	@touch $@

.venv/.development: requirements-dev.lock requirements.lock pyproject.toml | .venv/bin/python
	@echo "Setting up (once) ..."
	@$(PIP) install --compile --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q src
	@touch $@ .venv/.runtime

# Every parser of others' bytes, and all that the API document allows (docs/reliability_hostile.md). Atheris guides by coverage; it has no
# place in the lock, and where it does not install the mutator alone does the work. BLIND=--blind: without it in any case.
INPUTS := 10000000
SEED := 1
FUZZ := PYTHONPATH=$(CURDIR):fuzz/tools OPENBLAS_NUM_THREADS=1 $(BIN)/python -m

fuzz: .venv/.development
	@mkdir -p fuzz/tools
	@test -d fuzz/tools/atheris || $(PIP) install --no-deps --target fuzz/tools atheris==3.0.0 || echo "Atheris does not install here" >&2
	$(FUZZ) tests.hostile.fuzz --inputs $(INPUTS) --seed $(SEED) $(BLIND) --out fuzz
	$(FUZZ) tests.hostile.test_as_documented $$(mktemp -d)

# Would the tests notice if the core were wrong? Changes to the modules that [tool.mutmut] names, one at a time (docs/testing.md).
# MODULES="casework routing": only these. mutmut has no place in the lock, and stands beside the project like Atheris.
MUTMUT := mutmut==3.8.1 libcst==1.9.0 setproctitle==1.3.8 textual==8.2.8 click==8.5.1 mdit-py-plugins==0.7.0 platformdirs==4.14.8
MUTATE := PYTHONPATH=$(CURDIR)/mutation/tools OPENBLAS_NUM_THREADS=1 $(BIN)/python -m mutmut

mutants: .venv/.development
	@mkdir -p mutation/tools
	@test -d mutation/tools/mutmut || $(PIP) install --no-deps --target mutation/tools $(MUTMUT)
	$(MUTATE) run --max-children $(or $(PROCESSES),2) $(foreach m,$(MODULES),"earlywarning.core.$(m).*")
	$(MUTATE) results

# Which lines and branches the tests go through, also in the processes that they start.
coverage: .venv/.development
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto --dist loadfile --no-loadscope-reorder
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Pins, hashes and licences of what is locked; known holes where ADVISORIES names a folder of OSV files (PyPA's advisory database).
audit: .venv/.development
	$(BIN)/python deploy/audit.py requirements.lock $(ADVISORIES)

# Pins are kept unless UPGRADE=--upgrade. Made on the oldest Python supported; no addresses in the files, which would tie
# every user to the index of whoever made them. pip-tools stays out of .venv: it would follow pip, not the lock.
LOCK := env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL .venv-lock/bin/pip-compile $(UPGRADE) --quiet --generate-hashes --strip-extras \
	--allow-unsafe --no-header --annotation-style line --no-emit-index-url --no-emit-trusted-host --no-emit-find-links
GROUP := import sys, tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"][sys.argv[1]], sep="\n")

lock:
	python3.11 -m venv --clear .venv-lock
	.venv-lock/bin/python -m pip --disable-pip-version-check --quiet install pip-tools==7.6.2
	.venv-lock/bin/python -c '$(GROUP)' build | $(LOCK) --extra kafka --extra parquet --extra postgresql -o requirements.lock pyproject.toml -
	.venv-lock/bin/python -c '$(GROUP)' dev | $(LOCK) -o requirements-dev.lock requirements.lock -
	rm -rf .venv-lock

# What the service is made of, as CycloneDX: every locked dependency with its version and hashes. The same input, the same file.
sbom: .venv/.development
	@mkdir -p dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		--validate -o dist/earlywarning.cdx.json requirements.lock

wheel: .venv/.development
	deploy/check_wheel.sh

clean:
	rm -rf .venv .venv-lock mutants mutation .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
