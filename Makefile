# Everything runs from a .venv in the checkout; nothing is installed elsewhere.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STATIC := src/agentsight/server/dashboard/static
WEB_SOURCES := $(shell find web -path web/node_modules -prune -o -type f -print 2>/dev/null)
HOST ?= 127.0.0.1
PORT ?= 8000

.PHONY: demo test lint bench web setup lock format clean

setup: $(VENV)/.installed

$(VENV)/.installed: requirements/dev.txt pyproject.toml hatch_build.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@command -v npm >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/node.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

web: $(STATIC)/.built

$(STATIC)/.built: $(VENV)/.installed $(WEB_SOURCES)
	$(BIN)/python hatch_build.py
	@touch $@

# The server with sample data, ready for the browser.
demo: setup web
	$(BIN)/agentsight demo --host $(HOST) --port $(PORT)

# Side by side, a file on one worker: what a file shares (servers, a signed-in browser) is made once.
test: setup web
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: setup web
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	cd web && npm_config_loglevel=error $(CURDIR)/$(BIN)/python ../hatch_build.py lint

bench: setup web
	$(BIN)/python -m benchmarks

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Pins the newest versions that fit pyproject.toml; the file carries no index addresses.
lock: setup
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --no-emit-index-url --no-emit-find-links --strip-extras --no-header --no-annotate --allow-unsafe --extra server --extra dev -o requirements/dev.txt pyproject.toml

clean:
	rm -rf $(VENV) $(STATIC) web/node_modules dist build
