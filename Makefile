# `make` lists the targets. Everything needed is set up by itself in .venv; as root, missing packages are installed.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON := .venv/bin/python
PYTEST := -m pytest -q -p no:cacheprovider
# Tests with devices and daemons wait most of the time. Those of a lab are one story a file.
AT_ONCE := --numprocesses=3 --dist=worksteal
FILES_AT_ONCE := --numprocesses=3 --dist=loadfile
# The interpreter of a version; a shim in the PATH may stand for one that is not there.
find_python = $(firstword $(foreach python,python$(1) $(wildcard $(HOME)/.pyenv/versions/$(1).*/bin/python),\
    $(shell $(python) -c 'import sys; print(sys.executable)' 2>/dev/null)))
# The one that Salt 3006 brings along.
PYTHON_3006 := $(call find_python,3.10)
# Others that Salt 3008 runs on, besides the machine's own.
OTHER_PYTHONS := 3.12 3.13

# The other functional tests are about devices, to which one Salt is as good as another.
LOADED_BY_SALT := $(foreach name,beacon module_keys module_sync pillar_* runner_* states_* packaging reactor_sls,\
    $(wildcard tests/functional/test_$(name).py))

.PHONY: help setup demo docs test test-slow test-attack test-kernel test-kernel-fleet test-boot lint unit unit-slow \
    functional functional-slow integration integration-slow test-3006 test-pythons bench schema pictures release \
    clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready $(if $(PYTHON_3006),.venv-3006/.ready)  ## Install what all of these need; they do so themselves

demo: .venv/.ready  ## The main job in one minute: a mesh of real minions on this machine (root)
	@$(PYTHON) lab/demo

test: .venv/.ready  ## Every check, and every test but the slow ones (root)
	@.ci/side_by_side integration functional unit lint docs

test-slow: .venv/.ready  ## The tests that take a fleet through its life, and faults at every point of it (root)
	@.ci/sshd
	@.ci/side_by_side integration-slow functional-slow unit-slow

unit-slow: .venv/.ready
	@$(PYTHON) $(PYTEST) --numprocesses=2 --hypothesis-profile=thorough -m hypothesis tests/unit

functional-slow: .venv/.ready
	@$(PYTHON) $(PYTEST) $(AT_ONCE) -m slow tests/functional

integration-slow: .venv/.ready
	@$(PYTHON) $(PYTEST) $(FILES_AT_ONCE) -m slow tests/integration

test-attack: .venv/.ready  ## What a root-compromised member can do to the others (root)
	@$(PYTHON) $(PYTEST) -m attack tests/integration

test-kernel: .venv/.ready  ## Device tests on a kernel of their own, which has WireGuard; the first run builds it (root)
	@kernel=$$(tests/kernel/build); tests/kernel/run "$$kernel" tests/kernel/device-tests \
	    $(PYTHON) $(PYTEST) --numprocesses=2 tests/functional/test_real_device.py \
	    $(addprefix tests/functional/test_,$(addsuffix _on_device.py,exit obstacles renaming))

test-kernel-fleet: .venv/.ready  ## A master and minions on that kernel: join, exit by nftables, revoke, join again (root)
	@kernel=$$(tests/kernel/build); tests/kernel/run "$$kernel" tests/kernel/device-tests \
	    $(PYTHON) $(PYTEST) tests/integration/test_exit.py tests/integration/test_removal.py

test-boot: .venv/.ready  ## Boots and power cuts of Debian 12 and 13 on that kernel; the first run makes their disks (root)
	@$(PYTHON) $(PYTEST) tests/kernel

lint: .venv/.ready  ## Ruff, mypy and salt-lint
	@.venv/bin/ruff check --quiet
	@.venv/bin/ruff format --check --quiet
	@.venv/bin/mypy --no-error-summary
	@.venv/bin/salt-lint salt/*/*.sls salt/*/*/*.sls examples/*/*.sls

docs: .venv/.ready  ## The documentation as a site, in build/docs
	@.venv/bin/sphinx-build --quiet --fail-on-warning --keep-going --conf-dir docs . build/docs

unit: .venv/.ready  ## Tests of the logic, a minute
	@$(PYTHON) $(PYTEST) --numprocesses=2 tests/unit

functional: .venv/.ready  ## Tests with Salt's loader and with devices, without daemons
	@$(PYTHON) $(PYTEST) $(AT_ONCE) -m 'not slow' tests/functional

integration: .venv/.ready  ## Tests with a master and minions in the lab (root)
	@$(PYTHON) $(PYTEST) $(FILES_AT_ONCE) -m 'not slow' tests/integration

ifneq ($(PYTHON_3006),)
test-3006: .venv-3006/.ready  ## Unit tests and those of what Salt loads on Salt 3006, if there is a Python 3.10
	@.venv-3006/bin/python $(PYTEST) $(AT_ONCE) -m 'not slow and not hypothesis' tests/unit $(LOADED_BY_SALT)
else
test-3006:
	@echo 'Skipped: no Python 3.10 for Salt 3006'
endif

test-pythons: $(foreach version,$(OTHER_PYTHONS),$(if $(call find_python,$(version)),test-python-$(version)))  ## The same with Salt 3008 on other Pythons that are there
	@echo 'Run: $(or $^,none)'

test-python-%: .venv-%/.ready
	@.venv-$*/bin/python $(PYTEST) $(AT_ONCE) -m 'not slow' tests/unit $(LOADED_BY_SALT)

bench: .venv/.ready  ## Run all benchmarks and write the table of bench/README.md (root)
	@$(PYTHON) bench/all.py

schema: .venv/.ready  ## Write docs/mesh-file.schema.json anew, after a change of the mesh file's keys
	@$(PYTHON) .ci/schema

pictures: .venv/.ready  ## Take the pictures of docs/ anew, after a change of the report's looks
	@$(PYTHON) .ci/pictures

release: .venv/.ready  ## The sdist and the wheel of the last commit, checked, in dist
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check build check-wheel-contents twine
	@$(PYTHON) .ci/release

clean:  ## Remove what was made here
	rm -rf .venv .venv-3* build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.ready: setup.cfg .ci/setup
	@.ci/setup .venv 3008

.venv-3006/.ready: setup.cfg .ci/setup
	@.ci/setup .venv-3006 3006 $(PYTHON_3006)

.PRECIOUS: .venv-3.%/.ready
.venv-3.%/.ready: setup.cfg .ci/setup
	@.ci/setup .venv-3.$* 3008 $(call find_python,3.$*)
