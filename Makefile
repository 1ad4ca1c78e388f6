# Everything runs in .venv, which is made from pyproject.toml by any Python from 3.11 on: make PYTHON=python3.12 audit
PYTHON ?= python3
BIN := .venv/bin
CONFIG ?= configs/nginx/folklore.conf
JOBS ?= 2
CONFIGS ?= 300
SEALED ?= 100
APACHE ?= 200
SEED ?= 1

.PHONY: audit test differential bench lint setup clean stack stack-probe stack-down

# Findings are what this shows, so they are no failure here.
audit: .venv/ready
	@$(BIN)/audit --show info --exit-zero $(CONFIG)
	@echo; echo "The same configuration in a real nginx (audit probe $(CONFIG)):"; echo
	@$(BIN)/audit probe --exit-zero $(CONFIG)

test: .venv/ready
	$(BIN)/python -m pytest -n $(JOBS)

FOUND = from probes.runners.local import find; print(*(program.name for program in find()))

# The predictor against each nginx of this machine, or those of NGINX: wheel (Python package), system, a path, or
# image:NAME for one in a container. Some configurations more run in the sandbox of audit probe, and some ask the httpd of
# this machine (APACHE=0 for none).
differential: .venv/ready
	@status=0; for nginx in $(or $(NGINX),$$($(BIN)/python -c '$(FOUND)')); do \
	    $(BIN)/python -m tests.differential --nginx $$nginx --configs $(CONFIGS) --seed $(SEED) --jobs $(JOBS) || status=1; \
	    $(BIN)/python -m tests.differential --nginx $$nginx --configs $(SEALED) --seed $(SEED) --jobs $(JOBS) --sealed || status=1; \
	done; \
	if [ "$(APACHE)" != 0 ]; then \
	    $(BIN)/python -m tests.differential --kind apache --configs $(APACHE) --seed $(SEED) --jobs $(JOBS) || status=1; \
	fi; exit $$status

bench: .venv/ready
	$(BIN)/python -m bench

# The origin behind six real proxies, in Docker. STACK=broken for the broken configurations, NGINX_CONF=./nginx.conf for
# a configuration of your own.
export STACK NGINX_CONF

stack: .venv/ready
	@$(BIN)/python -m probes.stack up

stack-probe: .venv/ready
	@$(BIN)/python -m probes.stack probe

stack-down: .venv/ready
	@$(BIN)/python -m probes.stack down

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/mypy

setup: .venv/ready

clean:
	rm -rf .venv .bench build *.egg-info

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@$(BIN)/python -m compileall -q auditor probes
	@touch $@
