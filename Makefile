# Everything a developer or an operator does. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/.venv/bin:$(PATH)

PYTHON := .venv/bin/python
READY := .venv/ready

.PHONY: help setup run stop ask test check contract eval-mapping soak soak-imports explore lock build deploy ops

help: ## what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## the environment below .venv; every other target does this first

# The lock files are what the environment is made of: it is made again when one of them changes.
$(READY): requirements.lock local/setup.lock
	@for candidate in "$${PYTHON3:-}" python3.13 "$$HOME"/.pyenv/versions/3.13*/bin/python3.13; do \
	  if [ -n "$$candidate" ] && "$$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2> /dev/null; \
	  then found=$$candidate; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	  echo 'Python 3.13 is neither on PATH nor below ~/.pyenv/versions: install it, or name it with PYTHON3=…' >&2; exit 1; \
	fi; \
	if ! $(PYTHON) -c 'import sys, pip; sys.exit(sys.version_info[:2] != (3, 13))' 2> /dev/null; then \
	  echo "setting up .venv with $$found"; "$$found" -m venv --clear .venv; \
	fi
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r local/setup.lock
	@.venv/bin/uv pip sync --quiet --python $(PYTHON) --require-hashes requirements.lock
	@touch $@

run: $(READY) ## the whole stack on this machine [PORT=4566 DETACH=1 AUTH=true OPENAI_API_KEY=… SLACK_API_BASE_URL=…]
	@$(PYTHON) -m local.cloud run

stop: $(READY) ## end what `make run` started [PORT=4566]
	@$(PYTHON) -m local.cloud stop

# Make has an AS of its own: the assembler.
ifeq ($(origin AS),default)
AS :=
endif
export AS THREAD TIMEOUT
# As it was typed: make would take a $ in it for a variable of its own.
ask: override export TEXT := $(value TEXT)
ask: $(READY) ## ask the running stack something, as Slack would: TEXT="…" [AS=grace THREAD=… PLATFORM=teams]
	@$(PYTHON) -m local.ask$(if $(filter teams,$(PLATFORM)),_teams) --stack "$(or $(STATE_DIR),.local)/stack.json" --text "$$TEXT" --as "$$AS" --thread "$$THREAD" --timeout "$$TIMEOUT"

test: check ## everything: check, the store on an emulated AWS, the deployed stack with IAM enforced
	$(PYTHON) -m pytest -n 2 --dist loadgroup tests/integration tests/e2e tests/house/test_artifacts.py

check: $(READY) ## the fast part: lint, types, architecture, unit tests, the contract of the platforms
	$(PYTHON) -m local.lock --check
	ruff check
	ruff format --check
	mypy functions layers/core/core layers/agent/agent layers/importer/importer ops local benchmarks tests
	PYTHONPATH=layers/core:layers/agent:layers/importer:. lint-imports --no-logo
	cfn-lint template.yaml
	$(PYTHON) -m pytest -n 2 --dist loadfile tests/unit tests/contract tests/house --ignore=tests/house/test_artifacts.py

contract: $(READY) ## what every platform has to pass: the list of cases, then the cases [PLATFORM=slack]
	@$(PYTHON) -m tests.contract
	$(PYTHON) -m pytest -q tests/contract $(if $(PLATFORM),-k "$(PLATFORM)")

eval-mapping: $(READY) ## how many columns of real-looking headers find their field: by names, and with a model [OPENAI_API_KEY=…]
	@$(PYTHON) benchmarks/mapping.py

soak: $(READY) ## many conversations with redeliveries, failing models and kills: some minutes [CONVERSATIONS=200]
	CONVERSATIONS=$(or $(CONVERSATIONS),200) $(PYTHON) -m pytest -q tests/integration/turns/test_many.py

soak-imports: $(READY) ## a large file, by functions that are killed again and again: minutes [ROWS=1000000 KILLS=20]
	@$(PYTHON) -m benchmarks.large_import --rows $(or $(ROWS),1000000) --kills $(or $(KILLS),20) --range-mb 8

explore: $(READY) ## look for new counterexamples to the properties: thousands of random examples each
	EXPLORE=1 $(PYTHON) -m pytest -n 2 --timeout 1800 $$(grep -rl 'from hypothesis import' tests --include='test_*.py')

lock: $(READY) ## compile the lock files after a change of the dependency groups [UPGRADE=1]
	$(PYTHON) -m local.lock $(if $(UPGRADE),--upgrade)

export ARCHITECTURE ?= arm64
build: $(READY) ## what is deployed, below .aws-sam/ [ARCHITECTURE=arm64]
	@$(PYTHON) -m local.build --architecture $(ARCHITECTURE)

deploy: build ## deploy to AWS as samconfig.toml says: STAGE=staging [ARCHITECTURE=arm64]
	@test -n "$(STAGE)" || { echo 'say where to: make deploy STAGE=staging' >&2; exit 1; }
	@$(PYTHON) -m local.tools sam deploy --config-file $(CURDIR)/samconfig.toml --config-env $(STAGE) \
	  --template-file .aws-sam/$(ARCHITECTURE)/template.yaml

ops: $(READY) ## the operators' command line: ARGS="companies list"
	@$(PYTHON) -m ops $(if $(STATE_DIR),--stack-file "$(STATE_DIR)/stack.json") $(ARGS)
