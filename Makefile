# `make demo` and `make test` need Python 3.11 or 3.12 and make; everything else they install into .venv.

PYTHON ?= $(shell for python in python3.12 python3.11 python3; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
AUDIT_SERVICE ?= pypi

.PHONY: help install test test-fast lint check format demo audit bench-quick clean

help:
	@echo "make demo      two sample shops, trained and served on 127.0.0.1:$(PORT); ONESHOT=1 stops when it has shown them"
	@echo "make test      the whole test suite"
	@echo "make test-fast the part of it that trains and installs nothing"
	@echo "make lint      formatting, style, types and import rules"
	@echo "make check     lint, then test"
	@echo "make format    format the code"
	@echo "make audit     known vulnerabilities of all dependencies (asks AUDIT_SERVICE, pypi or osv), and an SBOM"
	@echo "make bench-quick  the benchmarks, small: shows that they run, not what they measure"
	@echo "make clean     remove what the others made"

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed and was not found; name one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "installing some 2.5 GB into $(VENV), which takes minutes and says nothing until it is done"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[service,training,dev]'
	@touch $@

# A kernel that was compiled and kept does not notice that another, which it calls, was changed.
test: install
	find service -name '*.nb[ic]' -delete
	$(BIN)/python -m pytest -n auto --dist loadfile

test-fast: install
	$(BIN)/python -m pytest -n auto --dist loadfile -m 'not training and not clean_install'

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

demo: install
	PORT=$(PORT) ONESHOT=$(ONESHOT) $(BIN)/python -m training.demo

# In an environment of its own: the SBOM is of what is installed for the project. Whatever could not be asked is a failure.
audit: install
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		$$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["audit"])')
	$(VENV)/audit/bin/cyclonedx-py environment --output-reproducible --of JSON -o sbom.json $(BIN)/python
	@echo "sbom.json is written. Asking $(AUDIT_SERVICE) for known vulnerabilities:"
	@if ! $(VENV)/audit/bin/pip-audit --requirement constraints.txt --strict --vulnerability-service $(AUDIT_SERVICE) \
		--no-deps --disable-pip --progress-spinner off \
		$$(sed -n 's/^\([A-Z][A-Za-z0-9-]*\) .*/--ignore-vuln \1/p' audit-ignore.txt); \
	then echo "NOT AUDITED, or not sound: above is what was found, or could not be asked. AUDIT_SERVICE=osv asks another." >&2; exit 1; fi

bench-quick: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[service,training,dev,bench]'
	for name in index filters startup swap serving ingest soak endurance overload; do $(BIN)/python -m benchmarks.$$name --quick || exit 1; done
	$(BIN)/python -m benchmarks.plots

clean:
	find models service -name '*.nb[ic]' -delete
	rm -rf $(VENV) demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
