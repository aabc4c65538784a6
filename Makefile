# Everything a fresh checkout needs, on Linux and macOS, with Python 3.11 or newer.
#
#   make demo      install into .venv, then run the closed loop
#   make test      install into .venv, then run the test suite, but for what takes long
#
# Variables: VENV=where the environment lives, PYTHON=which interpreter makes it,
# ARGS=what is passed on to pytest, to the demo or to the benchmark.
VENV ?= .venv
PYTHON ?=
ARGS ?=

BIN = $(VENV)/bin
# Twice quiet: errors only. One line of ours says what is being installed.
PIP = $(BIN)/python -m pip --disable-pip-version-check -qq
# No torch, no Qt, no GPU package: those are extras that a user asks for by name.
EXTRAS = test
# A stamp is newer than pyproject.toml exactly when what it stands for is installed.
READY = $(VENV)/.ready
# The same without an extra, which is all that the demonstration needs.
BARE = $(VENV)/.ready-bare

.PHONY: help setup demo test test-long lint docs docs-check bench sbom audit dist standalone clean

help:
	@echo "make demo    install, then run the closed loop on a simulated participant"
	@echo "make test    install, then run the test suite"
	@echo "make test-long   the tests that take tens of seconds each"
	@echo "make setup   install only (into $(VENV))"
	@echo "make lint    ruff and mypy --strict"
	@echo "make docs-check  every warning of the documentation, without its pages"
	@echo "make docs    build the documentation into docs/_build/html"
	@echo "make sbom    bill of materials of the environment, build/sbom.cdx.json"
	@echo "make audit   ask the vulnerability service about every package (needs the network)"
	@echo "make dist    build sdist and wheel into dist/, the same bytes each time"
	@echo "make standalone  a folder that runs without a Python, from the wheel in dist/"
	@echo "make bench   measure the loop's own cost on this machine"
	@echo "make clean   remove $(VENV) and everything that was built"
	@echo "Add PYTHON=/path/to/python to choose the interpreter, ARGS='...' to pass arguments on."

setup: $(READY)

$(BARE): pyproject.toml
	@set -e; \
	fits() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }; \
	if fits "$(BIN)/python"; then \
	    echo "setup: updating $(VENV)"; \
	else \
	    found=; \
	    for candidate in $${PYTHON:-python3.13 python3.12 python3.11 python3}; do \
	        if fits "$$candidate"; then found=$$candidate; break; fi; \
	    done; \
	    if [ -z "$$found" ]; then \
	        echo "setup: no Python 3.11 or newer among:" \
	            "$${PYTHON:-python3.13 python3.12 python3.11 python3};" \
	            "install one, or name it with PYTHON=/path/to/python." >&2; \
	        exit 1; \
	    fi; \
	    if [ -e "$(VENV)" ] && [ ! -f "$(VENV)/pyvenv.cfg" ]; then \
	        echo "setup: $(VENV) exists and is no environment; move it," \
	            "or name another place with VENV=/path." >&2; \
	        exit 1; \
	    fi; \
	    echo "setup: creating $(VENV) with $$("$$found" --version)"; \
	    "$$found" -m venv --clear "$(VENV)"; \
	fi
	@$(PIP) install 'pip>=22.3'
	@echo "setup: installing diverloop, about 550 MB on the disk"
	@$(PIP) install -e .
	@touch $@

$(READY): $(BARE)
	@echo "setup: installing diverloop[$(EXTRAS)], about 1.4 GB with what the suite needs"
	@$(PIP) install -e '.[$(EXTRAS)]'
	@touch $@
	@echo "setup: done"

$(VENV)/.ready-lint: $(READY)
	@echo "lint: installing diverloop[lint]"
	@$(PIP) install -e '.[lint]'
	@touch $@

$(VENV)/.ready-docs: $(READY)
	@echo "docs: installing diverloop[docs]"
	@$(PIP) install -e '.[docs]'
	@touch $@

$(VENV)/.ready-dist: $(READY)
	@echo "dist: installing diverloop[dist]"
	@$(PIP) install -e '.[dist]'
	@touch $@

$(VENV)/.ready-supply: $(READY)
	@echo "supply: installing diverloop[supply]"
	@$(PIP) install -e '.[supply]'
	@touch $@

demo: $(BARE)
	@$(BIN)/diverloop demo $(ARGS)

test: setup
ifeq ($(strip $(ARGS)),)
	@$(BIN)/python .ci/suite.py
else
	@$(BIN)/python -m pytest $(ARGS)
endif

# What takes tens of seconds a test and guards what changes seldom.
test-long: setup
	@$(BIN)/python -m pytest -m long --timeout 600

# mypy names modules after folders, and a checkout's folder can be called anything: the link gives
# it the one right name.
lint: $(VENV)/.ready-lint
	@echo "lint: ruff check"
	@$(BIN)/ruff check .
	@echo "lint: ruff format --check"
	@$(BIN)/ruff format --check .
	@echo "lint: mypy --strict"
	@set -e; mkdir -p build/types; rm -f build/types/diverloop; \
	ln -s ../.. build/types/diverloop; \
	modules="-m diverloop"; \
	for file in *.py; do modules="$$modules -m diverloop.$${file%.py}"; done; \
	for file in */__init__.py; do modules="$$modules -p diverloop.$${file%/__init__.py}"; done; \
	MYPYPATH=build/types $(BIN)/mypy $$modules

docs: $(VENV)/.ready-docs
	@echo "docs: building docs/_build/html"
	@rm -rf docs/api docs/_build
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs: open docs/_build/html/index.html"

# The same references and warnings, without the pages: a third of the time.
docs-check: $(VENV)/.ready-docs
	@rm -rf docs/api build/docs-check
	@$(BIN)/python -m sphinx -W --keep-going -q -b dummy docs build/docs-check

sbom: $(VENV)/.ready-supply
	@$(BIN)/python .ci/supply.py sbom build/sbom.cdx.json

# Ends well only if the service answered and knows nothing against any package.
audit: $(VENV)/.ready-supply
	@$(BIN)/python .ci/supply.py audit

dist: $(VENV)/.ready-dist
	@$(BIN)/python .ci/dist.py
	@$(BIN)/python -m twine check --strict dist/*.whl dist/*.tar.gz

standalone: dist
	@$(BIN)/python .ci/standalone.py

bench: $(BARE)
	@$(BIN)/diverloop bench loop $(ARGS)

clean:
	@if [ -f "$(VENV)/pyvenv.cfg" ]; then rm -rf "$(VENV)"; fi
	@rm -rf build dist docs/_build docs/api diverloop.egg-info
	@rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name .git -prune -o -name __pycache__ -type d -exec rm -rf {} +
