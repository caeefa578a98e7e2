# Everything that a person runs. `make help` lists it.

UV_VERSION := 0.13.9
PYTHON_MINIMUM := 3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV ?= $(shell command -v uv || echo .uv/bin/uv)
# Python is the machine's, packages are the lock's: uv must fetch no interpreter.
export UV_PYTHON_DOWNLOADS := never
# Kedro and MLflow report usage unless they are told not to.
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true

include mlflow/server.env

.DEFAULT_GOAL := help
.PHONY: help install reproduce smoke test campaign check format ui viz generator scorer compose lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-11s %s\n", $$1, $$2}'

reproduce: install ## captions to report with the default experiment, recorded in DVC
	$(BIN)/dvc repro --quiet params
	$(BIN)/kedro run --params "$$(cat conf/dvc_params.txt)"
	$(BIN)/dvc stage list --name-only | grep -vxE 'params|pretraining|scorer' | xargs $(BIN)/dvc commit --quiet --force
	@echo "The report: data/08_reporting/report.html; the runs: make ui"

smoke: install ## the same path, tiny
	$(BIN)/kedro run --params experiment=smoke

test: install ## the tests that need no minutes and no GPU
	$(BIN)/pytest

campaign: install ## an hour of tests with damaged files, bad inputs and killed runs; CAMPAIGN_SHARE=0.1 runs a tenth
	$(BIN)/pytest -m campaign --dist load tests/campaign

check: install ## what CI checks: style, types, layers, dvc.yaml and params.yaml, words of the embedded corpus
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src pipelines benchmarks
	$(BIN)/lint-imports
	$(BIN)/python -m pipelines.dvc.compose --check
	$(BIN)/python -m pipelines.reporting.results --check
	$(BIN)/pytest --quiet -n 0 tests/test_digit_words.py

format: install ## let ruff fix what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

ui: install ## MLflow on this machine
	@echo "Without this ending MLflow's page opens on GenAI, where no run is:"
	@echo "http://$(MLFLOW_UI_HOST):$(MLFLOW_UI_PORT)/#/experiments/1/runs?workflowType=machine_learning"
	$(BIN)/mlflow ui --backend-store-uri sqlite:///$(CURDIR)/mlflow/mlflow.db \
		--host $(MLFLOW_UI_HOST) --port $(MLFLOW_UI_PORT)

viz: install ## the pipelines as a graph
	$(BIN)/kedro viz run --host 127.0.0.1

generator: install ## train the embedded generator; goes on where it was stopped
	$(BIN)/kedro run --pipelines pretraining

scorer: install ## train the embedded scorer of captions and images
	$(BIN)/kedro run --pipelines scorer

compose: install ## write dvc.yaml and params.yaml; PARAMS="experiment=smoke" is what dvc repro runs from now on
	$(BIN)/python -m pipelines.dvc.compose $(if $(filter undefined,$(origin PARAMS)),,"$(PARAMS)")

lock: $(UV) ## write requirements.lock from pyproject.toml
	$(UV) pip compile pyproject.toml --all-extras --group dev --universal --python-version $(PYTHON_MINIMUM) \
		--no-annotate --no-header --generate-hashes --output-file requirements.lock

install: $(STAMP) ## the environment in .venv, from requirements.lock

$(STAMP): requirements.lock pyproject.toml | $(UV)
	@python=$$(bash .ci/find_python $(PYTHON_MINIMUM)) && \
		{ test -x $(BIN)/python || $(UV) venv --quiet --python "$$python" $(VENV); }
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(STAMP)

.uv/bin/uv:
	@python=$$(bash .ci/find_python $(PYTHON_MINIMUM)) && "$$python" -m venv .uv || \
		{ echo "make: cannot make a virtual environment; Debian's package python3-venv brings what it needs." >&2; exit 1; }
	.uv/bin/python -m pip install --quiet uv==$(UV_VERSION)

clean: ## remove what runs made; keeps captions, generator, scorer, their checkpoints, runs in mlflow/, the environment
	find data/02_intermediate -mindepth 1 -maxdepth 1 ! -name .gitkeep ! -name pretraining ! -name scorer -exec rm -rf {} +
	rm -rf data/03_primary/* data/05_model_input/* data/06_models/encoders \
		data/07_model_output/* data/08_reporting/*
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find pipelines src tests -name __pycache__ -type d -prune -exec rm -rf {} +
