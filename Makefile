# Steelyard's house work; `make` alone tells what there is. Each target makes what it needs.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DEMO   := .venv-demo
CLIENTS := .venv-clients
MLFLOW := .venv-mlflow
# The build of PyTorch to install first: with none there, a range may bring gigabytes of CUDA packages.
TORCH  ?= $(shell sed -n '/^torch==/p' constraints.txt)
PIP    := -m pip --disable-pip-version-check install --quiet
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q

.DEFAULT_GOAL := help
.PHONY: help test-endings test-mlflow try-it install demo test coverage test-all test-slow lint format types docs readme test-clients fuzz-serve proto bench-start bench-examples bench-replay bench-tables bench-serve bench-capacity bench-money bench-deep bench-shrink experience baseline clean preflight

help:  ## Tell what there is
	@echo "make TARGET, where TARGET is one of"
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

preflight:
	@sh .ci/preflight $(PYTHON)

$(VENV)/.installed: pyproject.toml constraints.txt | preflight
	@echo "installing everything into $(VENV) (PyTorch included: some minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP) '$(TORCH)'
	@$(BIN)/python $(PIP) -c constraints.txt -e '.[all,dev]'
	@touch $@

$(DEMO)/.installed: pyproject.toml constraints.txt | preflight
	@echo "installing what the demo needs into $(DEMO)"
	@test -x $(DEMO)/bin/python || $(PYTHON) -m venv $(DEMO)
	@$(DEMO)/bin/python $(PIP) -c constraints.txt -e '.[train]'
	@touch $@

install: $(VENV)/.installed  ## Make .venv with everything the tests and the work need

demo: $(DEMO)/.installed  ## Run the demo in a light environment of its own: frontier, decision, report, bundle
	$(DEMO)/bin/steelyard demo

test: install lint types  ## Lint, types and the quick tests
	$(PYTEST) -n 2 --dist loadfile -m "not slow"

coverage: install  ## The quick tests again, with the lines that none of them runs
	$(PYTEST) -n 2 -m "not slow" --cov=steelyard --cov-report=term-missing:skip-covered

test-slow: install  ## The tests that take minutes: kills, whole runs
	$(PYTEST) -n 2 --dist loadfile -m slow

test-endings: install  ## Those of them that CI runs too: a kill, Ctrl-C and a full disk, after which nothing may be lost
	$(PYTEST) -n 2 --dist loadfile -m slow tests/cli/test_endings.py

test-all: test test-slow  ## Every test

$(CLIENTS)/.installed: tests/serve/clients/requirements.txt | preflight
	@echo "installing public clients of the protocol into $(CLIENTS) (500 MB, some minutes)"
	@test -x $(CLIENTS)/bin/python || $(PYTHON) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/python $(PIP) -r tests/serve/clients/requirements.txt
	@touch $@

test-clients: install $(CLIENTS)/.installed  ## tritonclient and kserve, unchanged, make every call of the protocol
	$(PYTEST) -m slow tests/serve/clients

$(MLFLOW)/.installed: pyproject.toml constraints.txt | preflight
	@echo "installing MLflow beside the core install into $(MLFLOW) (600 MB, some minutes)"
	@test -x $(MLFLOW)/bin/python || $(PYTHON) -m venv $(MLFLOW)
	@$(MLFLOW)/bin/python $(PIP) "$$(sed -n '/^mlflow==/p' constraints.txt)" -e '.[mlflow]' onnx
	@touch $@

test-mlflow: install $(MLFLOW)/.installed  ## MLflow, unchanged, takes an exported run and loads its model
	$(PYTEST) -m slow tests/export

COUNT ?= 20000
SEED  ?= 0
fuzz-serve: install  ## About COUNT generated requests with SEED: no reply may be a failure of the server
	OMP_NUM_THREADS=1 $(BIN)/python tests/serve/generated.py --count $$(($(COUNT) / 5)) --seed $(SEED) $(if $(RESULTS),--results $(RESULTS))
	@echo "tensors: 13 properties, $$(($(COUNT) / 15 + 1)) requests of each, seed $(SEED)"
	STEELYARD_FUZZ=$$(($(COUNT) / 15 + 1)) $(PYTEST) -m slow --hypothesis-seed=$(SEED) tests/serve/test_fuzz.py tests/serve/grpc/test_fuzz.py

proto: install  ## Compile the messages of gRPC anew
	$(BIN)/python -m grpc_tools.protoc -I src/steelyard/serve/grpc --descriptor_set_out=src/steelyard/serve/grpc/inference.binpb inference.proto health.proto

lint: install  ## Style, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

format: install  ## Put the style right where a machine can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: install  ## Types, as strict as mypy is
	$(BIN)/mypy

docs: install  ## Make the pages that are made from the code
	$(BIN)/python docs/make.py

readme: install  ## Put the demo's output and the picture of its report into the READMEs
	$(BIN)/python docs/demo.py

try-it: install  ## Take the picture of the page that tries a served model
	$(BIN)/python docs/try_it.py

bench-start: install $(DEMO)/.installed  ## Import, --help, demo and the engine's overhead, against their bars
	$(BIN)/python benchmarks/start.py

bench-examples: install  ## The example specs on real data, against the references of the data catalogue
	$(BIN)/python benchmarks/examples.py

bench-replay: install  ## The search and the decision on published results: gap to the best, and what it cost
	$(BIN)/python benchmarks/replay/replay.py

bench-tables: install  ## Steelyard beside AutoGluon, FLAML, CatBoost, LightGBM and Optuna (MINUTES, ONLY, SETS)
	$(BIN)/python benchmarks/tables/run.py

bench-serve: install  ## Steelyard beside LitServe, BentoML, MLServer and FastAPI on one core (MINUTES, ONLY, MODELS)
	$(BIN)/python benchmarks/serve/versus.py

bench-capacity: install  ## Latency and capacity that three runs predict, beside what is measured
	$(BIN)/python benchmarks/serve/capacity.py

MONEY := ledger equality intervals german curves advice capacity ui
bench-money: install  ## Ledger, equality, intervals, decisions in money, label curves, advice, capacity, pages (MINUTES, FRESH, MONEY)
	@short=0; for each in $(MONEY); do echo "== $$each"; $(BIN)/python benchmarks/money/$$each.py || short=1; done; exit $$short

DEEP_SETS := pays text pretrained unlabelled tagging images ablation sound sensors series precision stress
bench-deep: install  ## Nets beside cheap models: text, tags, images, sound, sensors, series, precision (MINUTES, ONLY, DEEP_SETS)
	@short=0; for each in $(DEEP_SETS); do echo "== $$each"; $(BIN)/python benchmarks/deep/$$each.py || short=1; done; exit $$short

SHRINK ?= guard graphs fusions banking77 images tables rivals browser exits network
bench-shrink: install  ## Shrunk models beside their parents: ladders, the guard, rivals, the browser, other exits (MINUTES, ONLY, SHRINK)
	@short=0; for each in $(SHRINK); do echo "== $$each"; $(BIN)/python benchmarks/shrink/$$each.py || short=1; done; exit $$short

experience: install  ## Fit what the search knows beforehand on the published results
	$(BIN)/python benchmarks/replay/fit.py

baseline: install  ## Write the baseline of quality and size anew (its diff is what a change did)
	$(BIN)/python tests/quality/scenarios.py

clean:  ## Remove what the targets made: environments, caches, runs
	rm -rf $(VENV) $(DEMO) $(CLIENTS) $(MLFLOW) .venv-bench benchmarks/tables/cache benchmarks/serve/cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* htmlcov dist runs
	find src tests benchmarks docs examples -name __pycache__ -type d -prune -exec rm -rf {} +
