# Two commands on a fresh machine: `make demo` runs the main job on the embedded data, `make test` passes the tests.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test bench fuzz clean

demo: $(VENV)/installed
	$(BIN)/isthmus demo -o isthmus-demo.html

test: $(VENV)/installed-test
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/python -m mypy
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --doctest-modules src tests

bench: $(VENV)/installed-bench
	$(BIN)/python benchmarks/run.py; met=$$?; $(BIN)/python benchmarks/scaling.py --page; exit $$met

fuzz: $(VENV)/installed-test
	$(BIN)/python tests/fuzz.py

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[test,torch,encoders]"
	touch $@ $(VENV)/installed

$(VENV)/installed-bench: $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet --editable ".[bench]"
	touch $@

clean:
	rm -rf $(VENV) isthmus-demo.html .pytest_cache .mypy_cache .ruff_cache
