# Everything below runs from .venv, which is made on the first run from constraints.txt and pyproject.toml,
# and made again when one of them changes. Needed beforehand: Python 3.11 or newer, and make.

# Another interpreter for .venv: make test INTERPRETER=/path/to/python3.13
INTERPRETER ?=
WORKERS ?= 2

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP_INSTALL := $(PYTHON) -m pip install --quiet --quiet --disable-pip-version-check --no-build-isolation --constraint constraints.txt
INSTALLED := $(VENV)/.installed
INSTALLED_BENCH := $(VENV)/.installed-bench
# The engines have an environment of their own, for they ask for other releases than constraints.txt names.
VENV_ENGINES := .venv-engines
INSTALLED_ENGINES := $(VENV_ENGINES)/.installed
# One thread per process: workers then do not compete, and sums are added in the same order on every machine.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-engines lint docs docs-versions bench bench-quick clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## make .venv and install logpx in it; the other targets do so by themselves
	@:

demo: $(INSTALLED) ## fit and compare models on real image patches, about a minute; results in demo-output/
	@$(PYTHON) examples/natural_image_patches.py --output demo-output

test: lint ## lint, then run the tests
	@$(PYTEST)

test-all: lint ## lint, then run the tests and the slow ones too; it says which were skipped, and why
	@$(PYTEST) -m "" -rs

test-engines: $(INSTALLED_ENGINES) ## test on Spark (needs Java), Ray, DuckDB, Polars, Fugue, S3, MLflow and the hub
	@PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(VENV_ENGINES)/bin/python -m pytest -rs --force-enable-socket tests/engines

lint: $(INSTALLED) ## ruff (rules and format) and mypy
	@$(PYTHON) -m ruff check --quiet
	@$(PYTHON) -m ruff format --check --quiet || { $(PYTHON) -m ruff format --check; exit 1; }
	@$(PYTHON) -m mypy

docs: $(INSTALLED) ## build the documentation into docs/_build/html
	@$(PYTHON) -m sphinx -W --keep-going -n -q -E -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

docs-versions: $(INSTALLED) ## build the documentation of every release and of this tree, with a switch between them
	@$(PYTHON) docs/build_versions.py

# $(call bench_on,VARIABLE,what it needs,script and options): run a benchmark on the folder that a variable names.
bench_on = $(if $($1),echo "$3"; $(PYTHON) $3 --data "$($1)",\
	echo "$3 was left out; it needs $2: make bench $1=folder")

BENCH_ON_DATA := benchmarks/tables%.py benchmarks/patches.py benchmarks/binarised_mnist.py \
	benchmarks/posteriordb.py

bench: $(INSTALLED_BENCH) ## measure against the figures to reach and the peers; minutes to hours
	@set -e; for script in $(filter-out $(BENCH_ON_DATA),$(wildcard benchmarks/[!_]*.py)); do \
	echo "$$script"; $(PYTHON) "$$script"; done
	$(PYTHON) benchmarks/peers/flows.py
	@$(call bench_on,TABLES,a folder of tables,benchmarks/tables.py)
	@$(call bench_on,IMAGES,the BSDS300 images,benchmarks/patches.py)
	@$(call bench_on,MNIST,MNIST,benchmarks/binarised_mnist.py --objective vae)
	@$(call bench_on,MNIST,MNIST,benchmarks/binarised_mnist.py --objective iwae)
	@$(call bench_on,POSTERIORDB,posteriordb,benchmarks/posteriordb.py)

bench-quick: $(INSTALLED_BENCH) ## time flows beside the peers at one size, in some ten minutes
	@$(PYTHON) benchmarks/peers/flows.py --features 43 --batch 1024 --seconds 20

clean: ## remove .venv and everything that was built
	rm -rf $(VENV) $(VENV_ENGINES) build dist demo-output docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests examples benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(INSTALLED): pyproject.toml constraints.txt src/logpx/_version.py
	@rm -f $(INSTALLED_BENCH)
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { $(find_interpreter); \
	echo "making $(VENV) with $$interpreter and installing logpx in it: once, some minutes"; \
	"$$interpreter" -m venv --clear $(VENV); }
	@$(PIP_INSTALL) hatchling setuptools
	@$(PIP_INSTALL) --editable '.[dev,docs,plots]'
	@touch $@

$(INSTALLED_BENCH): $(INSTALLED)
	@$(PIP_INSTALL) --editable '.[bench]'
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/peers/requirements.txt
	@touch $@

$(INSTALLED_ENGINES): pyproject.toml constraints-engines.txt src/logpx/_version.py
	@$(find_interpreter); echo "making $(VENV_ENGINES) with $$interpreter: once, some minutes"; \
	"$$interpreter" -m venv --clear $(VENV_ENGINES)
	@$(VENV_ENGINES)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-engines.txt \
	hatchling --editable '.[spark,ray,mlflow,hub]' duckdb fugue 'moto[server]' boto3 hypothesis polars pytest pytest-socket \
	pytest-xdist
	@touch $@

# The interpreter that is named, else python3, else the newest that numpy's pinned release serves.
define find_interpreter
for interpreter in $(or $(INTERPRETER),python3 python3.14 python3.13 python3.12 python3.11); do \
	"$$interpreter" -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null \
	&& break; \
	interpreter=; \
done; \
test -n "$$interpreter" || { echo "logpx needs Python 3.11 to 3.14 with venv (on Debian: apt install python3-venv); \
name one with make INTERPRETER=..." >&2; exit 1; }
endef
