# `make demo` sets everything up in .venv and shows the main job; `make test` tests. See README.md.
PYTHON ?= python3
VENV ?= .venv
export PYTHON VENV

BIN = $(VENV)/bin
PYTEST = $(BIN)/python -m pytest
# compat: a plain path instead of an import hook, which would cost each start of ocirun some milliseconds.
EDITABLE = --quiet --disable-pip-version-check --no-build-isolation --config-settings editable_mode=compat --editable
# Parsers, the store and the plans are what unit tests can show whole; the rest is shown by real containers.
COVERAGE = --cov=ocirun.oci --cov=ocirun.image --cov=ocirun.runtime --cov-branch --cov-report=term:skip-covered --cov-fail-under=95
LINT = tests/lint
JOBS ?= 2
SOURCES = pyproject.toml setup.py $(wildcard cext/*.c cext/*.h cext/*.py schemas/*.json)

.PHONY: help setup build demo test test-unit test-system lint check format bench wheel fuzz sanitize soak clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

# The virtual environment with what ocirun needs to run, itself included (editable: the checkout is what runs).
$(VENV)/.ready: $(SOURCES) tools/prerequisites
	@sh tools/prerequisites
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing ocirun into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "setuptools>=77" "cffi>=1.17"
	@$(BIN)/python -m pip install $(EDITABLE) .
	@touch $@

# The same with the tools of the tests.
$(VENV)/.ready-dev: $(VENV)/.ready
	@echo "installing the test tools into $(VENV)"
	@$(BIN)/python -m pip install $(EDITABLE) ".[dev]"
	@touch $@

setup: $(VENV)/.ready ## ocirun in .venv/bin, nothing else

build: ## the C core again, in place (after a change in cext/)
	@test -x $(BIN)/python || $(MAKE) setup
	$(BIN)/python setup.py build_ext --inplace

demo: $(VENV)/.ready ## the main job on the image `host`: run, change, diff, commit, save, load
	@sh tools/demo

test: $(VENV)/.ready-dev ## all tests, in every id mode that this user can have
	$(PYTEST) tests/unit $(COVERAGE)
	$(if $(LINT),$(PYTEST) $(LINT))
	$(BIN)/python tests/system/machine.py --jobs $(JOBS)

test-unit: $(VENV)/.ready-dev ## tests that need no privileges and no kernel
	$(PYTEST) tests/unit

test-system: $(VENV)/.ready-dev ## tests with real containers
	$(BIN)/python tests/system/machine.py --jobs $(JOBS)

lint: $(VENV)/.ready-dev ## linters and the rules of the house
	$(PYTEST) tests/lint

check: $(VENV)/.ready-dev ## lint and unit tests
	$(PYTEST) tests/lint tests/unit

format: $(VENV)/.ready-dev ## put the Python in its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.ready-dev ## ratios against the peers on this machine, into docs/performance.md
	$(BIN)/python tests/bench/bench.py --write docs/performance.md

soak: $(VENV)/.ready-dev ## a thousand containers, then count what is left
	$(BIN)/python tests/system/machine.py -m soak

wheel: $(VENV)/.ready-dev ## an abi3 manylinux wheel in dist/
	rm -rf build/wheel && mkdir -p build/wheel dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps -w build/wheel .
	$(BIN)/python tools/tag_wheel.py build/wheel/*.whl dist

fuzz: $(VENV)/.ready-dev ## the parsers of untrusted bytes, FUZZ_SECONDS each (60), or only FUZZ_TARGETS (plan tar untar)
	$(BIN)/python tests/fuzz/run.py --seconds $(or $(FUZZ_SECONDS),60) $(FUZZ_TARGETS)

sanitize: $(VENV)/.ready-dev ## the system tests with the C core under ASan and UBSan
	$(BIN)/python tests/system/machine.py --sanitize $(SANITIZE)

clean: ## everything that was built, .venv too
	rm -rf build dist *.egg-info ocirun/libexec _ocirun_native*.so .mypy_cache .ruff_cache .pytest_cache .coverage $(VENV)
