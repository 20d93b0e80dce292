# l2r_lite in two commands: `make demo` watches a student learn, `make lab` opens the notebooks. `make` lists them all.
# Everything is installed into .venv, once; a stamp file there says what is done, so that a second call installs nothing.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python

# CPU=1 (make demo CPU=1): on Linux, take torch's CPU build and leave out gigabytes of CUDA libraries.
CPU             ?=
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu

# ARGS goes to the command a target runs:  make demo ARGS="--seed 1"    make test ARGS="-k grading"
ARGS :=
# Test processes. Each has one torch thread: more threads than cores make them 5 to 10 times slower.
JOBS ?= 2

PIP      := $(PY) -m pip install -q --disable-pip-version-check -c constraints.txt
AS_ROOT  := $(if $(filter 0,$(shell id -u)),--allow-root)
WITH_CPU := $(filter 1 yes true,$(CPU))

.PHONY: help demo test test-all soak lab lint notebooks course class pocket bench evidence labs results badges versions lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s%s\n", $$1, $$2 }' Makefile
	@echo "Variables: CPU=1 (torch without CUDA, on Linux), PYTHON=python3.12 (another Python), ARGS=\"…\" (passed on)."

demo: $(VENV)/.installed-run ## run three rounds on the pocket world, one to two minutes on a CPU
	@$(VENV)/bin/l2r-lite run $(ARGS)

test: $(VENV)/.installed-test ## run the quick tests, at most 5 minutes on 2 cores
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n $(JOBS) --dist worksteal -m "not slow" $(ARGS)

test-all: $(VENV)/.installed-test ## run every test: notebooks, browser, kills and devices too
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

soak: $(VENV)/.installed-test ## kills, memory, hostile input and fuzzing in their long form, many hours
	@$(PY) tests/soak/everything.py $(ARGS)

lab: $(VENV)/.installed-run ## open the notebooks in JupyterLab, on this machine only
	@$(VENV)/bin/jupyter lab --ip=127.0.0.1 $(AS_ROOT) $(ARGS) notebooks/00_the_whole_loop.ipynb

lint: $(VENV)/.installed-test ## check style (ruff) and types (mypy)
	@$(PY) -m ruff check .
	@$(PY) -m mypy

notebooks: $(VENV)/.installed-test ## execute the notebooks and keep their outputs
	@$(PY) tests/run_notebooks.py $(ARGS)

course: $(VENV)/.installed-test ## build the course as a static site with search, in build/course
	@$(PY) notebooks/site/build.py $(ARGS)

class: $(VENV)/.installed-test ## copy the notebooks without solutions, for a class, to build/class
	@$(PY) notebooks/site/class_copy.py $(ARGS)

pocket: $(VENV)/.installed-run ## pretrain the pocket student again, at most 60 minutes on 2 cores
	@$(PY) -m l2r_course.pretrain $(ARGS)

bench: $(VENV)/.installed-test ## speed and memory against the textbook's way and TRL's, on this machine
	@$(PY) tests/bench.py $(ARGS)

evidence: $(VENV)/.installed-run ## what tailoring and self-reflection bring, arm by arm, seed by seed
	@$(PY) -m l2r_course.research.experiments $(ARGS)

labs: $(VENV)/.installed-run ## measure the labs on their held seeds, against bars set on other seeds
	@$(PY) -m l2r_course.labs $(ARGS)

results: $(VENV)/.installed-test ## the tables of notebooks/evidence/README.md, from these logs
	@$(PY) tests/results.py $(ARGS)

badges: $(VENV)/.installed-test ## write this repository's address into README and notebooks; REPO=owner/name moves it
	@$(PY) tests/badges.py $(REPO)

versions: $(VENV)/.installed-test ## run with the lowest and newest allowed versions, and with Colab's (needs the package index)
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install -q --disable-pip-version-check uv
	@build/lock/bin/python tests/versions.py $(abspath $(PY))

# torch stays at the version that was tested, newest or not: a release of it is gigabytes, and is tried on purpose.
TORCH := 2.13.0
# One resolution for every system and Python we support (uv writes the markers). Linux's CUDA packages stay out: torch
# pins them itself, and the CPU build has none.
lock: ## resolve pyproject.toml to the newest versions and write constraints.txt
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install -q --disable-pip-version-check uv
	@echo "torch==$(TORCH)" > build/held.txt
	@build/lock/bin/uv pip compile -q --no-config --universal --upgrade --no-header --no-annotate --extra test \
		--constraint build/held.txt --output-file build/constraints.txt pyproject.toml
	@{ \
		echo "# The exact versions that were tested, for every system and Python; made by: make lock"; \
		echo "# A constraint installs nothing by itself. torch==2.13.0 admits the build 2.13.0+cpu too."; \
		grep -vE '^(nvidia-|cuda-|triton)' build/constraints.txt; \
	} > build/constraints.new
	@mv build/constraints.new constraints.txt
	@echo "constraints.txt: $$(grep -c == constraints.txt) pins"

clean: ## delete .venv, caches and build files; runs/ stays
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find l2r_lite notebooks tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.created:
	@command -v "$(PYTHON)" >/dev/null || \
		{ echo "$(PYTHON) was not found: install Python 3.11 or newer, or name one: make demo PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "l2r-lite needs Python 3.11 or newer, and $(PYTHON) is older: name a newer one, as in: make demo PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) lacks the venv module: install it (Debian, Ubuntu: apt install python3-venv) and try again" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@

# torch comes first and alone with CPU=1, so that the other index is asked for nothing but torch.
$(VENV)/.installed-run: pyproject.toml constraints.txt | $(VENV)/.created
	@echo "installing l2r-lite and what it needs into $(VENV) (once, 2 to 5 minutes)" >&2
	@$(if $(WITH_CPU),$(PIP) --no-deps --index-url $(TORCH_CPU_INDEX) torch)
	@$(PIP) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed-run
	@echo "installing the test tools into $(VENV) (once, less than a minute)" >&2
	@$(PIP) -e '.[test]'
	@touch $@
