# Two commands do everything: `make demo` and `make test`. Both install the same locked environment first.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.PHONY: help setup demo test check contract up bench migrate docs clean

# Where the machine keeps certificates, use them: a proxy's own is only there. Older versions of uv know the second name.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem /etc/pki/tls/certs/ca-bundle.crt),)
export UV_SYSTEM_CERTS := 1
export UV_NATIVE_TLS := 1
endif

# Packages are compiled once, not in each of the many processes that import them.
unexport PYTHONDONTWRITEBYTECODE

# uv of the machine, or our own below .uv when there is none.
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := $(UV) run --frozen --no-sync

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.uv/bin/uv:
	@echo "uv is missing; installing it into .uv"
	@python3 deploy/bootstrap_uv.py .uv/bin/uv

setup: $(if $(findstring .uv/,$(UV)),.uv/bin/uv)  ## install the locked environment into .venv
	@echo "Installing the locked environment"
	@$(UV) sync --frozen --all-extras --all-groups --quiet

demo: setup  ## set up, then the main job on real input; KEEP=1 leaves it running, DATA=dir names the input
	@$(RUN) kairos demo $(if $(KEEP),--keep) $(if $(DATA),--data "$(DATA)")

test: setup  ## set up, then every test
	@$(RUN) pytest -n 2

up: setup  ## all servers, until Ctrl-C
	@$(RUN) kairos up

check: setup  ## lint, format, import rules, types
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) lint-imports
	@$(RUN) mypy

contract: setup  ## the suites that hold interfaces, schemas and documents, on real stores
	@$(RUN) pytest tests/contract

bench: setup  ## measure; results are printed, and kept in benchmarks/RESULTS.md by hand
	@$(RUN) python -m benchmarks.stream

migrate: setup  ## bring the database named in the environment to the newest schema
	@$(RUN) kairos migrate

docs: setup  ## write the documents and schemas that are made from code anew
	@$(RUN) kairos docs

clean:  ## remove what the embedded servers keep, then the environment
	@if [ -x .venv/bin/kairos ]; then .venv/bin/kairos clean --yes; fi
	@rm -rf .venv .uv
