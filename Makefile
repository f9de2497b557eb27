.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo example examples test test-long bench lint format wheel clean

PYTHON ?= python3
# Tests wait for processes, servers and timeouts a third of their time: more workers than processors use it.
JOBS ?= $(shell echo $$(( $$(nproc) * 2 )))
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
INSTALL := $(PIP) install -c constraints.txt

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.demo ## Embed the Python documentation, ask it three questions (no server, no download but packages)
	@$(BIN)/python examples/demo.py

example: .venv/.example ## Run the example application, a page of notes, until Ctrl-C (examples/notes)
	@$(BIN)/python -m examples.notes

examples: .venv/.examples ## Run the examples of embeddings, each with its baseline (examples/embeddings): ARGS='anomalies'
	@$(BIN)/python -m examples.embeddings $(ARGS)

test: .venv/.dev strace chromium redis ## Run the tests (also the crash campaigns, at reduced counts)
	@# In the order of names, because the longest files are not those with the most tests. The many processes that tests
	@# start would each compile the library where bytecode is not kept.
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test-long: .venv/.dev .venv-peers/.installed .venv-peers-servers/.installed .venv-peers-spark/.installed strace chromium java mariadb redis ## Run the long campaigns (two hours and more on 2 processors): crashes, power failures, damage, random programs
	@# One run, which ends with the figures of all campaigns. Workers that are done take tests from the others.
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 VECSTORE_HYPOTHESIS_PROFILE=long \
	    $(BIN)/python -m pytest -m 'long and not citus' -n $(JOBS) --dist worksteal --durations 40 -o faulthandler_timeout=3600

bench: .venv-bench/.installed ## Compare with the peers: ARGS='--quick', '--only ours,chromadb', '--only postgres', '--only redis', '--large', '--help'
	@.venv-bench/bin/python -m benchmarks $(ARGS)

lint: .venv/.dev ## Check style (ruff), types (mypy) and the Lua scripts (the compiler of Lua 5.1)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.redis.lua

format: .venv/.dev ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

wheel: .venv/.demo ## Build the wheel into dist/
	@rm -rf build
	@$(PIP) wheel --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean: ## Remove everything that make created
	rm -rf .venv .venv-bench .venv-bench-* .venv-peers .venv-peers-servers .venv-peers-spark .bench .servers build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment, then what is in it. The stamps make a second run instant; a changed pyproject.toml repeats the install.
.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo 'vecstore needs Python 3.11 or newer: make PYTHON=/path/to/python3 …' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	    || { echo '$(PYTHON) cannot create an environment. On Debian: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.demo: pyproject.toml constraints.txt | .venv/.created
	@echo 'Installing vecstore and a small embedder into .venv (once)'
	@$(INSTALL) -e '.[wordllama]'
	@touch $@

.venv/.example: pyproject.toml constraints.txt examples/notes/requirements.txt | .venv/.created
	@echo 'Installing vecstore and what the example needs into .venv (once)'
	@$(INSTALL) -e '.[alembic,orm,postgres,redis,wordllama]' -r examples/notes/requirements.txt
	@touch $@

.venv/.examples: pyproject.toml constraints.txt | .venv/.created
	@echo 'Installing vecstore, small models and data into .venv (once)'
	@$(INSTALL) -e '.[examples]'
	@# For a file of weights. Its own code, which nothing runs, would need a compiler.
	@$(INSTALL) --no-deps Resemblyzer
	@touch $@

# Bytecode of the modules that tests import, and not of all that are installed: of 560 MB they need a third.
.venv/.dev: pyproject.toml constraints.txt | .venv/.created
	@echo 'Installing vecstore and all that its tests need into .venv (once; a few minutes)'
	@$(INSTALL) --no-compile -e '.[dev]'
	@$(INSTALL) --no-compile --no-deps Resemblyzer  # for a file of weights, as above
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --collect-only -qq >/dev/null || true  # the run will say what fails
	@touch $@ .venv/.demo .venv/.example .venv/.examples

# The peers on servers are installed only where they are asked for, each with the releases that it goes with.
comma := ,
ASKED := $(subst =, ,$(subst $(comma), ,$(ARGS)))
PEERS := $(filter vecs redisvl langchain-redis,$(ASKED)) $(patsubst %-postgres,%,$(filter langchain-postgres,$(ASKED))) \
    $(if $(filter postgres,$(ASKED)),langchain vecs) $(if $(filter redis,$(ASKED)),redisvl langchain-redis)
bench: $(patsubst %,.venv-bench-%/.installed,$(sort $(PEERS)))

# One library of its Redis server is no Python package.
ifneq ($(findstring redis,$(ARGS)),)
ifndef VECSTORE_BENCH_REDIS
bench: redis-for-bench
endif
endif
.PHONY: redis-for-bench
redis-for-bench: .venv-bench/.installed
	@.venv-bench/bin/python -m servers.redis.installation

.venv-bench/.installed: pyproject.toml constraints.txt benchmarks/requirements.txt
	@echo 'Installing vecstore and its peers into .venv-bench (once; a few minutes, 1 GB, a C++ compiler for hnswlib)'
	$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip --disable-pip-version-check --quiet --quiet install \
	    -c constraints.txt -r benchmarks/requirements.txt -e '.[postgres,postgres-embedded,redis]'
	@touch $@

# An environment of its own for peers. The argument is what it needs beside its list of requirements.
define install_peers
$(PYTHON) -m venv $(@D)
@echo '*' > $(@D)/.gitignore
@$(@D)/bin/python -m pip --disable-pip-version-check --quiet --quiet install -r $<$(1)
@touch $@
endef

.venv-bench-%/.installed: benchmarks/requirements-%.txt
	@echo 'Installing a peer into .venv-bench-$* (once)'
	$(call install_peers)

# Libraries whose files only they read, for the tests of `vecstore import`.
.venv-peers/.installed: tests/importers/requirements.txt pyproject.toml
	@echo 'Installing chromadb, lancedb and qdrant-client into .venv-peers (once; a few minutes)'
	$(call install_peers, -e .)

.venv-peers-servers/.installed: tests/importers/requirements-servers.txt
	@echo 'Installing langchain-postgres, vecs, redisvl and langchain-redis into .venv-peers-servers (once)'
	$(call install_peers)

.venv-peers-spark/.installed: tests/bulk/requirements-spark.txt pyproject.toml
	@echo 'Installing Spark into .venv-peers-spark (once; 500 MB)'
	$(call install_peers, -e '.[parquet]')

# Programs that are no Python packages: the names that one may have, what needs it, and its package in Debian.
define find_program
@for each in $(1); do command -v $$each >/dev/null && exit; done; { \
    [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
    || { echo '$(2). On Debian: sudo apt-get install $(3)' >&2; exit 1; }; \
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(3); }
endef

# The power-failure tests record system calls.
.PHONY: strace
strace:
	$(call find_program,strace,The power-failure tests need strace,strace)

# The tests of the example's pages need a browser, which Debian has in a small package.
CHROMIUMS := chromium-headless-shell chromium chromium-browser google-chrome
.PHONY: chromium
chromium:
	$(call find_program,$(CHROMIUMS),The tests of pages need Chromium,chromium-headless-shell)

# Spark runs on Java.
.PHONY: java
java:
	$(call find_program,java,The test of Spark needs Java 17 or newer,default-jre-headless)

# The application's database in the tests of vecstore.orm on MariaDB. The package starts no server that they use.
.PHONY: mariadb
mariadb:
	$(call find_program,mariadbd,The tests of MariaDB need its server,mariadb-server)

# The tests' own Redis servers. Their programs need a library that newer systems do without: it is kept in .servers.
.PHONY: redis
redis: .venv/.dev
	@$(BIN)/python -m servers.redis.installation
