# Everything starts from `make up` and `make test`; both make the environment they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: up test fuzz chaos check format bench lock clean

up: $(READY)
	@$(BIN)/slotwire up $(ARGS)

test: $(READY) check
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

# The service against its own document, for a quarter of an hour, with other requests each time.
fuzz: $(READY)
	FUZZ="$(or $(ARGS),--max-time 900)" $(BIN)/python -m pytest -s tests/fuzz

# Everything is killed again and again under load, for five minutes, in another order each time.
chaos: $(READY)
	CHAOS="$(or $(ARGS),--seconds 300)" $(BIN)/python -m pytest -s tests/chaos

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

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "slotwire: Python 3.11 or newer is needed; name one with: make PYTHON=python3.12"; exit 2; }
	@echo "Installing into $(VENV) (once; half a minute) ..."
	@$(PYTHON) -m venv $(VENV) || { sh .ci/need-venv $(PYTHON) && $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
