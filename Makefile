# make demo   the distance between every two of 63 countries, and a page of them, into runs/world
# make test   style, types, imports and tests
# make quick  the tests that are not slow, in a minute
# make docs   the documentation, with its examples run, into docs/_build: two minutes
# make thorough   all tests, with ten times as many examples of Hypothesis: hours
# make gpu-check   what is known of the GPU's code without a GPU: minutes; make test has part of it
#
# Each sets up .venv first. EXTRA=gpu takes the packages for GPU nodes; PYTHON=... another python3.

EXTRA  ?= cpu
PYTHON ?= python3

BIN   := .venv/bin
PIP   := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
         --constraint constraints-$(EXTRA).txt
READY := .venv/ready-$(EXTRA)

PYTEST := $(BIN)/pytest --numprocesses=logical --dist=worksteal

SUPPORTED = $(filter True,$(shell \
  $(PYTHON) -c 'import sys; print(sys.version_info >= (3, 11))' 2>/dev/null))

ifeq ($(filter cpu gpu,$(EXTRA)),)
$(error EXTRA=$(EXTRA) is unknown: use EXTRA=cpu or EXTRA=gpu)
endif

.PHONY: demo docs gpu-check quick test tests thorough types

demo: $(READY)
	$(BIN)/geospot sweep out=runs/world
	$(BIN)/geospot report sweep=runs/world out=runs/world/report.html
	@echo "open runs/world/report.html, or geospot_gpu.open_run('runs/world') in Python"

test: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo
	@$(MAKE) --no-print-directory --jobs=2 tests types docs

types: $(READY)
	$(BIN)/mypy

tests: $(READY)
	$(PYTEST)

docs: $(READY)
	$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going docs docs/_build

quick: $(READY)
	$(PYTEST) -m 'not slow'

thorough: $(READY)
	EXAMPLES=10 $(PYTEST)

gpu-check: $(READY)
	$(BIN)/python -m benchmarks.gpu_checks

# Always made anew, and marked ready only at the end: the sets for CPU and GPU do not mix, and half
# an environment is none. torch goes first, alone: what follows then takes the build that is there.
$(READY): pyproject.toml constraints-cpu.txt constraints-gpu.txt
	$(if $(SUPPORTED),,$(error $(PYTHON) is missing or older than 3.11: name another, as in PYTHON=python3.12))
	@echo "making .venv for EXTRA=$(EXTRA); this takes some minutes"
	@$(PYTHON) -m venv --clear .venv
	@echo "1/2 installing torch"
	@$(PIP) torch
	@echo "2/2 installing geospot_gpu and all that it needs"
	@$(PIP) --editable '.[$(EXTRA),geo,dev,docs]'
	@touch $@
