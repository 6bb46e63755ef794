# Two commands: `make demo` shows it working, `make test` checks everything. Both set up what they need in .venv.

PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
  "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$each" && break; done)
BIN := .venv/bin
STAMP := .venv/.installed

# of `make emulators`, which takes this port and the four after it; OPTIONS=--any-model and others go to the program
PORT = 8701
OPTIONS =

.PHONY: help demo emulators soak test lint types imports docs docs-check tests check format bench snapshots clean

help:
	@echo "make demo        watch an MCP client make a video, without a key"
	@echo "make emulators   run the emulated providers, to try every model by hand without a key"
	@echo "make test        lint, types, import rules, documentation check, tests"
	@echo "make soak        the long tests: kills, fuzzing, 10,000 tasks; about ten minutes"
	@echo "make docs        rewrite what is generated from the code"
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

test check: lint types imports docs-check tests

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

tests: $(STAMP)
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal

# the figures in docs/reliability.md are its output
soak: $(STAMP)
	PYTHONPATH=tests $(BIN)/python -m crash --seeds 1,2,3 --processes 1,2 --stops 3 --write docs/reliability.json
	PYTHONPATH=tests $(BIN)/python -m crash --strategies naive --jobs 60 --kills 5 --write docs/reliability.json
	PYTHONPATH=tests $(BIN)/python -m soak --tasks 10000 --fuzz 5000 --write docs/reliability.json
	$(BIN)/python -m keyframe_mcp.docs

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/python bench/report.py

snapshots: $(STAMP)
	UPDATE_SNAPSHOTS=1 $(BIN)/python -m pytest tests/test_tool_schemas.py

clean:
	rm -rf .venv demo dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
