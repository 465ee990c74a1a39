# `make book` and `make test` do everything, set-up included. The environment lives in .venv and is made once.
PYTHON ?= python3
PROFILE ?= quick
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BOOK_HTML = $(if $(wildcard _build/html/book/index.html),--book _build/html)
MATHEMATICS := $(addprefix tests/,test_densities.py test_checks.py models estimators inference disentanglement data training figures) \
  $(wildcard tests/book/test_equations_*.py)
PYTHON_FILES := src tests benchmarks

.PHONY: book test mathematics faults equations browser lint bench env clean distclean help

help:
	@echo "make book   set up, run the chapters (PROFILE=$(PROFILE), JOBS=$(JOBS)), build the HTML"
	@echo "make test   set up, run the tests"
	@echo "make mathematics  the tests of the library alone, without pages and commands"
	@echo "make faults the campaign of faults: thousands of bad inputs, hundreds of killed commands, with counts (an hour)"
	@echo "make equations   the tests of the equations alone; the pages of the next build say how they ended"
	@echo "make browser  set up, check the built pages in Chromium (which must be installed)"
	@echo "make lint   set up, check the code: ruff (rules and format) and mypy"
	@echo "make env    set up only"
	@echo "make bench  set up, run the benchmarks"
	@echo "make clean  remove _build (make distclean: and the environment)"

book: $(STAMP)
	@$(BIN)/elbo build --profile $(PROFILE) --jobs $(JOBS)

test: $(STAMP)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

mathematics: $(STAMP)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile $(MATHEMATICS)

faults: $(STAMP)
	@PYTHONPATH=src:tests/support OMP_NUM_THREADS=1 $(BIN)/python -m faults

browser: $(STAMP)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[browser]'
	@ELBO_BROWSER=required OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/browser -n auto --maxprocesses 4 --dist loadgroup $(BOOK_HTML)

equations: $(STAMP)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m equation -n auto --maxprocesses 8

lint: $(STAMP)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[lint]'
	@$(BIN)/ruff check $(PYTHON_FILES)
	@$(BIN)/ruff format --check $(PYTHON_FILES)
	@$(BIN)/mypy

env: $(STAMP)

bench: $(STAMP)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[bench]'
	@$(BIN)/python -m benchmarks

$(STAMP): pyproject.toml requirements.lock Makefile
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; this is %s. Try: make $(MAKECMDGOALS) PYTHON=python3.11" % sys.version.split()[0])'
	@echo "Setting up $(VENV) (first time only; torch is the large part) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Could not make a virtual environment: install your system's python3-venv package, then try again."; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[test]'
	@touch $(STAMP)

clean:
	rm -rf _build

distclean: clean
	rm -rf $(VENV)
