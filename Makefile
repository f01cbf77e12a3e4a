# Everything a newcomer needs: make demo, make studio, make test. Everything a developer needs: make check, make bench.
# On a machine with a GPU: make install CONSTRAINTS=   (an unconstrained torch brings CUDA with it)

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(if $(CONSTRAINTS),-c $(CONSTRAINTS))

STATIC = src/gesso/studio/static/index.html
WEB = $(wildcard web/*.json web/*.ts web/*.js web/*.html web/.npmrc) $(shell find web/src web/public -type f 2>/dev/null)
# The pages are built by Node: this machine's where it is recent, else one that comes as a Python wheel.
OWN_NODE := $(shell node -e "const [a,b]=process.versions.node.split('.');process.exit(a>20||(a==20&&b>=19)?0:1)" 2>/dev/null && echo yes)
NODE = $(if $(OWN_NODE),,$(VENV)/.installed-node)

.PHONY: help install demo studio test check format bench clean

help:
	@echo "make demo     install, train a generator on the built-in pictures, show what it draws"
	@echo "make studio   install, build the pages of the studio, open it in the browser"
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

$(VENV)/.installed-studio: $(VENV)/.installed
	$(PIP) -e '.[studio]'
	touch $@

$(VENV)/.installed-node: $(VENV)/.installed
	$(PIP) -e '.[node]'
	touch $@

$(STATIC): $(WEB) | $(NODE)
	cd web && PATH="$(if $(OWN_NODE),,$(abspath $(VENV))/bin:)$$PATH" npm ci --no-audit --no-fund --loglevel=error
	cd web && PATH="$(if $(OWN_NODE),,$(abspath $(VENV))/bin:)$$PATH" npm run --silent build
	touch $@

install: $(VENV)/.installed
	@echo "Installed. Run: $(VENV)/bin/gesso --help"

demo: $(VENV)/.installed
	$(VENV)/bin/gesso demo

studio: $(VENV)/.installed-studio $(STATIC)
	$(VENV)/bin/gesso studio

test: $(VENV)/.installed-dev $(STATIC)
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
	rm -rf $(VENV) bench/out web/node_modules src/gesso/studio/static .pytest_cache .ruff_cache
