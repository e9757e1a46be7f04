# `make demo` and `make test` need Python 3.11 or newer and make; everything else they install into .venv.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
# Else every program that the tests start compiles all of its modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check clients fmt live chaos bench canary oldest lock mutants release clean
.DEFAULT_GOAL := help

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: .venv/installed ## Start everything on this machine: gateway, broker, llama.cpp with a small model, a worker
	@exec $(BIN)/sluice demo

test: .venv/installed ## Run the tests, with real servers where the machine has them
	@$(BIN)/pytest -n auto --dist worksteal -rs

live: .venv/installed ## Run the tests that talk to real servers; a missing server is a failure
	@REQUIRE_LIVE=1 REQUIRE_BROKERS=1 $(BIN)/pytest -n auto --dist worksteal -m live

clients: .venv/installed ## Run the client packages and write docs/clients.md's table from what they do
	-@REQUIRE_LIVE=1 $(BIN)/pytest tests/live/test_client_packages.py
	@$(BIN)/python -m tests.live.client_table

check: .venv/installed ## Formatting, lint, plain words, types and tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m tests.architecture.plain_words
	$(BIN)/mypy
	$(BIN)/pytest -n auto --dist worksteal -rs

fmt: .venv/installed ## Format and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

chaos: .venv/installed ## Kill, freeze and cut off every part under open streams, and compare texts: CHAOS="--seed 7 --scale 2"
	@$(BIN)/python -m tests.chaos $(CHAOS)

bench: .venv/installed ## Measure beside nginx and a naive relay: benchmarks/README.md
	$(BIN)/python benchmarks/run.py

# amqtt holds websockets at 15.0.1, and users without the extra [demo] get the newest.
canary: ## Run the tests with the newest version of every dependency, whatever requirements.lock says
	@$(MAKE) --no-print-directory PIP_OPTIONS="--upgrade --upgrade-strategy eager" HELD=websockets .venv-newest/tested

oldest: ## Run the tests with the oldest version of every dependency that pyproject.toml allows
	@$(PYTHON) .ci/oldest_versions.py > .oldest-versions.txt
	@$(MAKE) --no-print-directory PIP_OPTIONS="-c .oldest-versions.txt" .venv-oldest/tested

.PHONY: .venv-newest/tested .venv-oldest/tested
.venv-newest/tested .venv-oldest/tested: .venv/installed  # some tests type `make demo`
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) -e '.[cluster,demo,dev]'
	@test -z "$(HELD)" || $(@D)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --no-deps $(HELD)
	@$(@D)/bin/python -m pip list --disable-pip-version-check > $(@D)/versions.txt
	@$(@D)/bin/pytest -n auto --dist worksteal -rs $(TESTS)

lock: .venv/installed ## Pin everything again, with hashes and without naming a host (needs uv)
	uv pip compile --upgrade --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--python-version 3.11 --universal --all-extras -o requirements.lock pyproject.toml
	@for packages in tests/clients/python/newest tests/clients/python/older tests/deploy/schemas/packages; do \
		uv pip compile --quiet --upgrade --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--python-version 3.11 --universal -o $$packages.lock $$packages.in; done

mutants: .venv/installed .venv-mutants/installed ## Change the code of PART=journals, core, llama or mqtt in small ways and see whether a test fails
	@nice -n 19 .venv-mutants/bin/python .ci/mutants.py $(or $(PART),journals) $(MUTANTS)

release: .venv/installed ## Build wheel and source distribution into dist/ and try them in a clean environment
	@rm -rf dist && $(BIN)/hatchling build && $(BIN)/python .ci/try_release.py

clean: ## Remove what was built
	rm -rf .venv .venv-mutants .venv-newest .venv-oldest .venv-clients-* .venv-schemas .clients .oldest-versions.txt .mutants dist .mypy_cache .ruff_cache .pytest_cache .hypothesis benchmarks/bin

.venv/installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "'$(PYTHON) -m venv' failed: on Debian and Ubuntu install python3-venv"; exit 1; }
	@echo "installing into .venv (once; about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv-mutants/installed: requirements.lock pyproject.toml
	@$(BIN)/python -m venv .venv-mutants
	@.venv-mutants/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@.venv-mutants/bin/python -m pip install --quiet --disable-pip-version-check 'mutmut>=3.8,<4'
	@.venv-mutants/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
