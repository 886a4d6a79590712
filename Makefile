# make demo   set up and run the main job: jets -> images -> clouds -> generators -> report
# make test   set up, lint, type-check and test everything
# make coverage  the tests alone, with the lines that they reach: at least 90 %
# make docs   build the documentation as a site, in build/site
# make dist   build wheel and source archive, in dist
# make matrix install the wheel with the oldest and the newest Python and packages, and try it (an hour)
# make fuzz   10,000 damaged and hostile files for every reader, 20 kills of every command, large
#             and long work (about an hour)
# All make their own virtual environment in .venv and say what they do.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := PATH="$(abspath $(BIN)):$$PATH"
OUTPUT ?= results/demo
# Two processes of one thread each: torch gains little from a second thread on small problems.
# Files stay whole, and are begun in the order of tests/conftest.py.
WORKERS ?= -n 2 --dist loadfile --no-loadscope-reorder
TWO     := OMP_NUM_THREADS=1 $(RUN)
INPUTS ?= 10000
KILLS  ?= 20

LIBRARIES := libusb-1.0.so.0 libEGL.so.1 libGL.so.1 libX11.so.6 libudev.so.1 libidn2.so.0
PACKAGES  := libusb-1.0-0 libegl1 libgl1 libx11-6 libudev1 libidn2-0
KERNELS   := torch-scatter==2.1.2 torch-cluster==1.6.3

.PHONY: demo test coverage docs dist matrix fuzz lint system kernels clean help
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# //p;/^$$/q' Makefile

demo: $(VENV)/.installed system
	@sh .ci/cached-kernels $(BIN)
	@echo "== demo: real jets in, generated jets out (a few minutes on two cores)"
	@$(RUN) pcgen demo --output $(OUTPUT)

test: $(VENV)/.tested system kernels
	@echo "== formatting, lint, types, imports"
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy
	@$(RUN) lint-imports
	@echo "== kernels, on our own path alone (as where torch-scatter and torch-cluster are missing)"
	@$(TWO) pytest -q $(WORKERS) tests/ops --without-kernels
	@echo "== all tests and doctests"
	@$(TWO) pytest -q $(WORKERS) --doctest-modules pcgen tests

# Counting lines takes a quarter longer, which CI does not have.
coverage: $(VENV)/.tested
	@$(RUN) coverage erase
	@$(TWO) pytest -q $(WORKERS) --cov --cov-report=term:skip-covered --cov-fail-under=90 --doctest-modules pcgen tests

# A warning ends the build: a link, a name or a module that is not there.
docs: $(VENV)/.tested
	@$(RUN) NO_MKDOCS_2_WARNING=1 mkdocs build --clean
	@echo "== written: build/site/index.html"

dist: $(VENV)/.made
	@$(BIN)/pip install -q --disable-pip-version-check build
	@rm -rf dist && $(BIN)/python -m build --outdir dist . >/dev/null && ls -l dist

matrix: dist
	@$(PYTHON) .ci/matrix.py dist/*.whl

fuzz: $(VENV)/.tested
	@echo "== $(INPUTS) hostile inputs for every reader, $(KILLS) kills of every command"
	@$(RUN) PCGEN_FUZZ=$(INPUTS) PCGEN_KILLS=$(KILLS) pytest -q -s tests/fuzz

lint: $(VENV)/.tested
	@$(RUN) ruff format . && $(RUN) ruff check --fix . && $(RUN) mypy && $(RUN) lint-imports

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "pcgen needs Python 3.10 or newer; say make PYTHON=python3.11")'
	@echo "== virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check "pip>=24" "setuptools>=68" wheel numpy
	@touch $@

$(VENV)/.installed: $(VENV)/.made setup.cfg constraints.txt
	@echo "== installing pcgen and what it needs (torch, Open3D: up to 7 GB on the disk)"
	@$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt torch
	@$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	@echo "== installing the tools of tests and documentation, Pythia, Dask, ONNX, HepMC3, uproot and pyarrow"
	@$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[test,docs,simulation,dask,export,hepmc,uproot,parquet]'
	@touch $@

# Open3D links against libraries that a bare machine lacks.
system:
	@missing=""; for library in $(LIBRARIES); do \
	  /sbin/ldconfig -p | grep -q "$$library" || missing="$$missing $$library"; done; \
	if [ -n "$$missing" ]; then \
	  echo "== Open3D needs$$missing"; \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends $(PACKAGES) >/dev/null; \
	  else \
	    echo "   install them with: sudo apt-get install $(PACKAGES)"; \
	    echo "   (until then pictures are drawn by matplotlib)"; \
	  fi; \
	fi

# torch-scatter and torch-cluster are source releases that need torch while they build. They
# compile one file at a time, so the two build side by side; pip keeps the wheels for next time.
kernels: $(VENV)/.tested
	@$(BIN)/python -c 'import torch_scatter, torch_cluster' 2>/dev/null || { \
	  echo "== building torch-scatter and torch-cluster (up to 40 minutes the first time)"; \
	  set -e; pids=""; for kernel in $(KERNELS); do \
	    $(BIN)/pip install -q --disable-pip-version-check --no-build-isolation --no-deps $$kernel & \
	    pids="$$pids $$!"; done; for pid in $$pids; do wait $$pid; done; \
	  $(BIN)/python -c 'import torch_scatter, torch_cluster'; }

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .coverage .hypothesis
