# Everything a newcomer needs: make demo, make test. Everything a developer needs: make check, make bench.
# On a machine with a GPU: make install CONSTRAINTS=   (an unconstrained torch brings CUDA with it)

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(if $(CONSTRAINTS),-c $(CONSTRAINTS))

.PHONY: help install demo test check format bench clean

help:
	@echo "make demo     install, train a generator on the built-in pictures, show what it draws"
	@echo "make test     install, run the tests"
	@echo "make check    style, types and spelling of options: what CI and the pre-commit hook run"
	@echo "make bench    the benchmarks behind docs/benchmarks.md (hours)"
	@echo "make install  install into $(VENV)"

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) -e '.[dev]'
	touch $@

install: $(VENV)/.installed
	@echo "Installed. Run: $(VENV)/bin/gesso --help"

demo: $(VENV)/.installed
	$(VENV)/bin/gesso demo

test: $(VENV)/.installed-dev
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile

check: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright

format: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(VENV)/.installed-dev
	$(VENV)/bin/python -m bench

clean:
	rm -rf $(VENV) bench/out .pytest_cache .ruff_cache
