# `make toy` and `make test` do all the set-up; the rest are conveniences.
# On Linux without a GPU, `make toy PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu`
# saves the download of PyTorch's CUDA libraries.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= 4
# Tests and checks are as many processes as there are processors.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_EXTRA_INDEX_URL

.PHONY: environment toy quick test check format docs clean

environment: $(VENV)/ready

toy: $(VENV)/ready
	snakemake --cores $(CORES)
	@echo "Open figures/toy/index.html"

quick: $(VENV)/ready
	snakemake --cores $(CORES) --configfile studies/quick.yaml
	@echo "Open figures/quick/index.html"

test: $(VENV)/ready
	python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: $(VENV)/ready
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	mypy
	python workflow/lint.py

format: $(VENV)/ready
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

docs: $(VENV)/ready
	python -m pipeline.config.page > docs/config.md
	python -m pipeline.claims.tables docs/kaplan2020.md studies/kaplan-laptop.yaml
	python -m pipeline.laws.table docs/laws.md

# Made anew when the lock or the package's metadata change.
$(VENV)/ready: requirements.lock pyproject.toml executor/pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python >= 3.11 is needed; set PYTHON=python3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable . --editable ./executor
	touch $@

clean:
	rm -rf results figures logs .snakemake
