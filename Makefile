# The two commands of the README are `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help demo dev test test-long mutants schemas docs sample bench clean

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: $(VENV)/.sandbox ## Audit both demo worlds, as it should be and broken, and show the claims
	@.ci/system-packages postgresql
	$(BIN)/auditor demo --world healthy
	$(BIN)/auditor demo --world broken --fail-on never

dev: $(VENV)/.dev ## Install what is needed to work on it

test: $(VENV)/.dev ## Lint, types, import contracts and all tests but the long ones
	@.ci/system-packages postgresql chromium zsh fish zip unzip
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/auditor policy validate
	$(BIN)/pytest -m "not long" -n 2 --dist loadgroup

test-long: $(VENV)/.dev ## The tests that take minutes, and `make mutants`
	@.ci/system-packages postgresql chromium zip unzip
	$(BIN)/pytest -m long
	$(BIN)/python -m tests.mutants

mutants: $(VENV)/.dev ## Change and take out each guard of seal, evidence and redaction: some test has to notice
	$(BIN)/python -m tests.mutants

schemas: $(VENV)/.dev ## Write the published JSON Schemas again
	$(BIN)/auditor policy schema > policies/policy.schema.json
	$(BIN)/auditor policy schema --settings > policies/auditor.schema.json
	$(BIN)/python -c 'import json; from auditor.results import json_schema; print(json.dumps(json_schema(), indent=2))' \
		> auditor/reports/report.schema.json

docs: $(VENV)/.dev ## Write docs/reference again, from the code
	$(BIN)/python -m tests.reference

sample: $(VENV)/.dev ## Write reports/sample/ again: one run of the broken world
	@.ci/system-packages postgresql
	rm -rf build/sample reports/sample && mkdir -p build reports
	$(BIN)/auditor demo --world broken --fail-on never -o build/sample -f html,junit,markdown,csv,evidence
	mv "$$(dirname "$$(grep -l '"sequence":2,' build/sample/*Z-*/report.json)")" reports/sample
	mv build/sample/auditor.keys.json reports/sample.keys.json

bench: $(VENV)/.dev ## Measure time, memory and API calls (figures, not assertions)
	@.ci/system-packages postgresql chromium
	$(BIN)/python -m tests.bench

clean: ## Remove what was built (never reports)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage* mutants

$(VENV)/bin/python:
	@.ci/system-packages python
	$(PYTHON) -m venv $(VENV)

$(VENV)/.sandbox: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[sandbox]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.sandbox
