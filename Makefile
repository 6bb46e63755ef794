# Two commands: `make demo` shows it working, `make test` checks everything. Both set up what they need in .venv.

PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
  "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$each" && break; done)
BIN := .venv/bin
STAMP := .venv/.installed

# of `make emulators`, which takes this port and the four after it; OPTIONS=--any-model and others go to the program
PORT = 8701
OPTIONS =

.PHONY: help demo emulators soak package bundle conformance clients card test lint types imports docs docs-check site \
  tests check format bench snapshots clean

help:
	@echo "make demo        watch an MCP client make a video, without a key"
	@echo "make emulators   run the emulated providers, to try every model by hand without a key"
	@echo "make test        lint, types, import rules, documentation check, website, tests"
	@echo "make soak        the long tests: kills, fuzzing, 10,000 tasks; about ten minutes"
	@echo "make package     install the wheel with the newest and the oldest dependencies on every Python here, and use it"
	@echo "make bundle      pack the bundle for desktop hosts, and start it as they do; needs npm"
	@echo "make conformance run the official MCP conformance suite; needs npm"
	@echo "make clients     let other people's clients make a film with this server; needs npm"
	@echo "make card        show the MCP Apps card in Chromium, in the official host bridge; needs npm"
	@echo "make docs        rewrite what is generated from the code"
	@echo "make site        make a website of the documentation, in site/"
	@echo "make bench       measure, and write docs/performance.md"
	@echo "make format      format the code"
	@echo "make snapshots   accept the tool schemas as they are now"

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name it with make PYTHON=..."; exit 1; }
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev --editable '.[local]'
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/keyframe-mcp demo --output demo

emulators: $(STAMP)
	PYTHONPATH=tests $(BIN)/python -m emulators --port $(PORT) $(OPTIONS)

test check: lint types imports docs-check site tests

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python

imports: $(STAMP)
	$(BIN)/lint-imports

docs: $(STAMP)
	$(BIN)/python -m keyframe_mcp.docs

docs-check: $(STAMP)
	$(BIN)/python -m keyframe_mcp.docs --check

# a link that leads nowhere fails; nothing is fetched, and the pages fetch nothing either
site: $(STAMP)
	$(BIN)/python -m keyframe_mcp.docs.site

tests: $(STAMP)
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal

# the figures in docs/reliability.md are its output
soak: $(STAMP)
	PYTHONPATH=tests $(BIN)/python -m crash --seeds 1,2,3 --processes 1,2 --stops 3 --write docs/reliability.json
	PYTHONPATH=tests $(BIN)/python -m crash --seeds 11 --processes 2 --jobs 240 --stops 3 --calls --write docs/reliability.json
	PYTHONPATH=tests $(BIN)/python -m crash --strategies naive --jobs 60 --kills 5 --write docs/reliability.json
	PYTHONPATH=tests $(BIN)/python -m soak --tasks 10000 --fuzz 5000 --write docs/reliability.json
	$(BIN)/python -m keyframe_mcp.docs

# brings uv and the environments into .package; ONLY=3.12 tries that Python alone
package: $(STAMP)
	PYTHONPATH=tests $(BIN)/python -m distribution package --folder .package $(if $(ONLY),--only $(ONLY))

# brings the official tool into .bundle, and writes the bundle to dist
bundle: $(STAMP)
	PYTHONPATH=tests $(BIN)/python -m distribution bundle --folder .bundle --into dist

# brings the suite into .conformance by npm, and writes down what it found; ONLY=tasks just runs the scenarios with that
# in their name
conformance: $(STAMP)
	PYTHONPATH=tests $(BIN)/python -m conformance --folder .conformance --only "$(ONLY)" --write docs/conformance.json
	$(BIN)/python -m keyframe_mcp.docs

# installs them into .clients. One that cannot be installed fails, unless OPTIONS="--known NAME" excuses it; an excuse
# kept here needs its reason beside it
clients: $(STAMP)
	PYTHONPATH=tests $(BIN)/python -m clients --folder .clients $(OPTIONS)

# installs the bridge into .card; the browser is CHROMIUM or the chromium of the PATH; ONLY=narrow plays those scenes
card: $(STAMP)
	mkdir -p .card
	cp tests/card/package.json .card/package.json
	npm install --prefix .card --no-audit --no-fund --no-package-lock --silent
	node tests/card/run.mjs .card $(BIN)/python "$(ONLY)"

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/python bench/report.py

snapshots: $(STAMP)
	UPDATE_SNAPSHOTS=1 $(BIN)/python -m pytest tests/test_tool_schemas.py

clean:
	rm -rf .venv .site site .package .bundle .clients .conformance .card demo dist
	rm -rf .pytest_cache .ruff_cache .hypothesis .import_linter_cache
