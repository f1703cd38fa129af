# `make demo` and `make test` set up all they need in .venv; nothing else is done by hand.
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/rafm-bench

.PHONY: demo test lint docs smoke bench bench-full clean-tree clean

demo: .venv/installed
	$(RUN) demo --out demo

test: .venv/installed-dev
	$(BIN)/python -m pytest -q --numprocesses auto

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/asv machine --yes >/dev/null
	$(BIN)/asv check --environment existing:$(abspath $(BIN)/python)

docs: .venv/installed-dev
	$(BIN)/sphinx-build -q -W --keep-going -b html docs site

# What `make bench` runs: a few minutes. `make bench-full` runs all, with more samples.
QUICK := ^(regimes.*(train_batch|parameters)|scaling.(Slopes|Stored|(Rank|RowLength|Features).time)|models.(Score|RowByRow|Reference).time|quality.*(fm 8|rafm).*adagrad|prepare.(Whole|Stages.*criteo)|epochs.(Reader|Training.track_second)|cold.(Import|Help))
ASV = $(BIN)/asv run --environment existing:$(abspath $(BIN)/python) --set-commit-hash $$(git rev-parse HEAD)

# asv ends with 2 when a benchmark failed: the pages name it, and so are made before make fails.
THEN_PUBLISH = || status=$$?; $(BIN)/python -m rafm_bench.bench.libraries && $(RUN) bench publish && exit $${status:-0}

# One small benchmark of each suite, whose figures are thrown away: whether they run.
SMOKE := ^(regimes.*parameters.*linear D_k, linear.*, 2\)|scaling.(Stored|RowLength.time_(train|score).4, .numba.\))|models.Score.time_score..(fm 32|rafm 8,32)., .numba.\)|prepare.*((time_prepare|scan|parse).*criteo|Stages.*criteo.*write)|epochs.Reader.*order.1\)|quality.*log_loss..fm 8., .adagrad., 256|quality.Ratings.*mrma.*adagrad|cold.(Import|Help))

smoke: .venv/installed-dev
	$(BIN)/asv machine --yes >/dev/null
	$(ASV) --quick --dry-run --bench '$(SMOKE)'

bench: .venv/installed-dev clean-tree
	$(BIN)/asv machine --yes
	$(ASV) --quick --bench '$(QUICK)' $(THEN_PUBLISH)

bench-full: .venv/installed-dev clean-tree
	$(BIN)/asv machine --yes
	$(ASV) $(THEN_PUBLISH)

# Results are recorded under the last commit: changes that it does not hold, new files
# among them, would be too. What is made here is ignored by Git.
clean-tree:
	@git rev-parse --verify --quiet HEAD >/dev/null 2>&1 || \
	  { echo "no Git checkout with a commit here, and results are recorded by commit: run this in a clone, with git installed" >&2; exit 2; }
	@test -n "$(DIRTY)" || test -z "$$(git status --porcelain)" || \
	  { echo "changes that no commit holds would be recorded as $$(git rev-parse --short HEAD): commit them, or run make DIRTY=1 ..." >&2; exit 2; }

clean:
	rm -rf .venv demo site .asv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "rafm-bench needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1): run make PYTHON=python3.11 ..." >&2; exit 2; }
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ .venv/installed
