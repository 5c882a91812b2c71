# make run      set-up, then the default experiment to its report       (about 15 minutes on two cores)
# make test     set-up, then all tests but those of make test-slurm
# make help     everything else

PYTHON ?= python3
# nproc says 1 where OMP_NUM_THREADS is 1.
CORES  ?= $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || sysctl -n hw.ncpu)
CONFIG ?= config/laptop.yaml

# Snakemake and torch keep caches in the user's home and ask for the user's name. Where there is no home that can be
# written to, or no name, as in some containers, they get both here; Hugging Face's cache stays where it is.
ifneq ($(shell test -w "$$HOME" && echo yes),yes)
HF_CACHE := $(shell cache="$${XDG_CACHE_HOME:-$$HOME/.cache}/huggingface"; test -d "$$cache" && echo "$$cache")
export HOME := $(CURDIR)/.snakemake/home
export HF_HOME := $(or $(HF_HOME),$(HF_CACHE),$(HOME)/huggingface)
export XDG_CACHE_HOME := $(HOME)/cache
export XDG_CONFIG_HOME := $(HOME)/config
export XDG_DATA_HOME := $(HOME)/data
endif
ifneq ($(shell { test -n "$$USER$$LOGNAME" || id -un >/dev/null 2>&1; } && echo yes),yes)
export USER := user
endif

VENV   := .venv
RUN    := $(VENV)/bin/python
SNAKEMAKE := $(VENV)/bin/snakemake --cores $(CORES) --quiet rules --configfile

.DEFAULT_GOAL := help
.PHONY: help setup run smoke plan figures push pull doctor test test-slurm torture benchmark-model benchmark-data lint schema clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'
	@echo "  CONFIG=config/<experiment>.yaml chooses the experiment, CORES=<n> the cores."

# An environment whose Python is gone or another version, or whose clone was moved, is set up anew; a linked one is not
# this clone's to mend.
WORKS := $(RUN) -I -c 'import os, sys, importlib.util as u; s = u.find_spec("unix_lib"); \
	sys.exit(not (s and os.path.samefile(s.origin, "unix_lib/__init__.py")))' >/dev/null 2>&1
ifneq ($(shell [ -L $(VENV) ] || [ ! -e $(VENV)/.ready ] || $(WORKS) || echo broken),)
$(info $(VENV) does not work any more: its Python is gone or another one, or the folder was moved)
$(shell rm -f $(VENV)/.ready)
endif

# Without .ready what lies there is half made: a set-up that was killed begins at the beginning.
$(VENV)/.ready: envs/core.txt envs/install.sh pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	@echo "Setting up $(VENV) (a few minutes, once)"
	@$(PYTHON) -m venv $(if $(wildcard $@),,--clear) $(VENV)
	@rm -f $@
	@envs/install.sh $(RUN)
	@touch $@

setup: $(VENV)/.ready ## virtual environment with the locked requirements

run: setup ## the experiment CONFIG to its report, then where to look
	@$(VENV)/bin/unix-lib follow "$(CONFIG)" -- $(SNAKEMAKE) "$(CONFIG)" -- all
	@$(VENV)/bin/unix-lib summarize "$(CONFIG)"

smoke: setup ## the whole chain cut to the bone, in a few minutes
	$(SNAKEMAKE) config/smoke.yaml -- all
	@$(VENV)/bin/unix-lib verify results/smoke

plan: setup ## what is done, what would run and why, and what it would cost
	@$(VENV)/bin/unix-lib plan "$(CONFIG)"

figures: setup ## draw from the results that exist, also during a run
	@$(VENV)/bin/unix-lib figures "$(CONFIG)"

LIMIT ?= 100
push: setup ## keep the results of CONFIG with DVC and send them to its remote; LIMIT=<GB> that may be added
	@$(VENV)/bin/unix-lib push "$(CONFIG)" --limit $(LIMIT)

pull: setup ## add to the results what others have pushed; deletes nothing
	@$(VENV)/bin/unix-lib pull "$(CONFIG)"

doctor: setup ## what works here, what is missing, how to get it
	@$(VENV)/bin/unix-lib doctor "$(CONFIG)"

test: setup ## all tests but those of test-slurm
	$(RUN) -m pytest -n $$(($(CORES) + 1)) --dist loadfile  # one more than cores: some tests wait

test-slurm: setup ## tests on a SLURM of two nodes that they start: as root, with slurm-wlm and munge installed
	$(RUN) -m pytest -m slurm -rs

torture: setup ## damage an experiment in every way we know, write docs/reliability.md; half an hour on two cores
	$(RUN) -m tests.torture --workers $(CORES) $(TORTURE)

benchmark-model: setup ## time training and decoding beside transformers' own model, in one table
	@$(VENV)/bin/unix-lib benchmark-model

benchmark-data: setup ## time samples to packs, plans, images and inventories beside plain loops, in one table
	@$(VENV)/bin/unix-lib benchmark-data

lint: setup ## ruff, snakefmt, mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/snakefmt --check workflow/Snakefile rules
	$(VENV)/bin/mypy

schema: setup ## config/schema.json from the config models
	@$(VENV)/bin/unix-lib schema

clean: ## remove the virtual environment and caches; results stay
	rm -rf $(VENV) .snakemake .pytest_cache .mypy_cache .ruff_cache *.egg-info
