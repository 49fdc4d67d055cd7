# Everything runs from a .venv in the checkout; nothing is installed elsewhere.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Without --compile: Python does that for what it imports, a third of what is installed.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
STATIC := server/src/agentsight_server/dashboard/static
HANDOUT := server/src/agentsight_server/handout
NODE_MODULES := server/web/node_modules/.package-lock.json
WEB_SOURCES := $(shell find server/web -path server/web/node_modules -prune -o -type f -print 2>/dev/null)
TEMPLATES := $(shell find server/src/agentsight_server/dashboard -name '*.html' -o -name '*.py' 2>/dev/null)
SDK_SOURCES := $(shell find sdk/src -name '*.py' 2>/dev/null) sdk/pyproject.toml
PROJECTS := sdk/pyproject.toml server/pyproject.toml server/hatch_build.py
HOST ?= 127.0.0.1
PORT ?= 8000

.PHONY: demo test check lint bench web setup serving lock format clean

# What serving needs, and nothing else.
serving: $(VENV)/.serving

$(VENV)/.serving: requirements/server.txt requirements/build.txt $(PROJECTS)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements/server.txt -r requirements/build.txt
	@command -v npm >/dev/null 2>&1 || $(PIP) -r requirements/node.txt
	$(PIP) --no-deps --no-build-isolation --editable ./sdk --editable ./server
	@touch $@

setup: $(VENV)/.installed

$(VENV)/.installed: requirements/dev.txt $(VENV)/.serving
	$(PIP) -r requirements/dev.txt
	@touch $@

web: $(STATIC)/.built $(VENV)/.handout

# Beside pip, where the machine has npm; else the build fetches them with the Node that pip brought.
$(NODE_MODULES): server/web/package-lock.json
	@if command -v npm >/dev/null 2>&1; then \
		cd server/web && npm ci --no-audit --no-fund --loglevel=error --silent && touch node_modules/.package-lock.json; fi

$(STATIC)/.built: $(VENV)/.serving $(NODE_MODULES) $(WEB_SOURCES) $(TEMPLATES)
	$(BIN)/python server/hatch_build.py web
	@touch $@

$(VENV)/.handout: $(VENV)/.serving $(SDK_SOURCES)
	$(BIN)/python server/hatch_build.py handout
	@touch $@

# The server with sample data, ready for the browser. Python's packages and npm's are fetched side by side.
demo:
	@$(MAKE) --no-print-directory -j2 serving web
	$(BIN)/agentsight demo --host $(HOST) --port $(PORT)

# The longest files come first (conftest.py), so that no worker is left alone with one at the end.
SIDE_BY_SIDE := $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

# Side by side, a file on one worker: what a file shares (servers, a signed-in browser) is made once.
# The SDK runs on every Python that is here; -rs says which are not.
test: setup web
	$(SIDE_BY_SIDE) -rs

# The fast part: no browser, no fresh environments, no processes that are killed.
check: setup web
	$(SIDE_BY_SIDE) -m "not browser and not slow"

lint: setup web
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-logo
	cd server/web && npm_config_loglevel=error $(CURDIR)/$(BIN)/python ../hatch_build.py lint

bench: setup web
	$(BIN)/python -m benchmarks

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Pins the newest versions that fit; the files carry no index addresses.
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --no-emit-index-url --no-emit-find-links --strip-extras --no-header --no-annotate --allow-unsafe
lock: setup
	$(COMPILE) -o requirements/server.txt sdk/pyproject.toml server/pyproject.toml
	$(COMPILE) -o requirements/dev.txt sdk/pyproject.toml server/pyproject.toml requirements/dev.in

clean:
	rm -rf $(VENV) $(STATIC) $(HANDOUT)/*.whl server/web/node_modules dist build
