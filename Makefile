# make demo | test | bench | gpu-check: each sets up its own virtual environment in .venv; needs python3, a C++ compiler, make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(wildcard csrc/*.cpp csrc/*.h csrc/*.inc kernels/*.h) setup.py

.PHONY: build test

build: $(VENV)/.built

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip "setuptools>=77" "pybind11>=2.13" wheel
	touch $@

$(VENV)/.built: $(VENV)/.ready $(SOURCES)
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[test]"
	touch $@

test: build
	$(BIN)/pytest
