# demo, report, test and bench set everything up in .venv from a fresh clone: they need python3 (3.11+), a C++ compiler and make.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := $(wildcard csrc/*.cpp csrc/*.h csrc/*.inc kernels/*.h) setup.py pyproject.toml
CXX_FILES := $(wildcard csrc/*.cpp csrc/*.h csrc/*.inc kernels/*.h kernels/*.cu)

.PHONY: build demo report test lint format bench gpu-check sanitize fuzz clean

build: .venv/.built

.venv/.created:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip "setuptools>=77" "pybind11>=2.13"
	touch $@

.venv/.built: .venv/.created $(SOURCES)
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable .
	touch $@

.venv/.tools: .venv/.built pyproject.toml
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[test]"
	touch $@

.venv/.bench: .venv/.built pyproject.toml
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[bench]"
	touch $@

.venv/.report: .venv/.built pyproject.toml
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[report]"
	touch $@

report: .venv/.report
	$(BIN)/python benchmarks/report.py

.venv/.exchange: .venv/.built pyproject.toml
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[exchange]"
	touch $@

.venv/.demo: .venv/.built pyproject.toml
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[exchange,vision]"
	touch $@

demo: .venv/.demo
	$(BIN)/python benchmarks/demo.py
	$(BIN)/python benchmarks/demo_exchange.py

test: .venv/.tools lint
	$(BIN)/pytest -n 2

lint: .venv/.tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build/typed && mkdir -p build/typed/pcc_match
	ln -s $(abspath $(wildcard pcc_match/*) datasets kernels) build/typed/pcc_match/
	cd build/typed && $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml  # the package as it is installed
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)

format: .venv/.tools
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_FILES)

bench: .venv/.bench .venv/.exchange
	$(BIN)/python benchmarks/bench_dna.py
	$(BIN)/python benchmarks/bench_finger.py
	$(BIN)/python benchmarks/bench_exchange.py

# Damaged WSQ, JPEG, ITL files, messages about DNA and transactions about prints: nothing but RecordError and
# ExchangeError, nothing for the sanitizers to find. COUNT: how many messages and how many transactions.
COUNT ?= 100000
fuzz: .venv/.tools
	$(BIN)/python tests/fuzz/run_image_fuzz.py
	$(BIN)/python tests/fuzz/itl_fuzz.py
	$(BIN)/python tests/fuzz/dna_fuzz.py $(COUNT)
	$(BIN)/python tests/fuzz/print_fuzz.py $(COUNT)

# On a GPU machine, with its own python3, CuPy, g++ and nvcc; no network. Writes benchmarks/results/gpu-<date>.json.
gpu-check:
	$(PYTHON) benchmarks/gpu_check.py

# The CUDA kernels on the CPU under AddressSanitizer and UndefinedBehaviorSanitizer, at more length than in the tests.
sanitize: .venv/.tools
	cd tests && $(abspath $(BIN))/python -m kernels_on_host.tape && $(abspath $(BIN))/python -m kernels_on_host.tape --kind finger

clean:
	rm -rf .venv build pcc_match.egg-info pcc_match/_cpu*.so
