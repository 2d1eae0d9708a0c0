# Two commands do all: `make demo` and `make test`. Everything is installed into .venv from the hash-pinned lock.
# The system's own Python first: it's what gateways run on, and distributions build it with profiles; one that was compiled
# by hand without them is slower.
PYTHON := $(shell for p in /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$p -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; break; fi; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Where a machine forbids Python to keep what it compiled, each of the thousands of processes that `make test` starts would
# compile 200 files anew: a third of a hub's start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: venv demo test check bench sim campaign fuzz mutants lock clean

venv: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed (apt install python3 python3-venv)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r firmware-config/build.lock
	$(PIP) --require-hashes --no-build-isolation --use-pep517 -r requirements.lock
	PYTHONWARNINGS=ignore $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# The readers' libraries: two are compiled, with what `tests/install-system-packages` brings.
.venv/readers: requirements-readers.lock .venv/installed
	sh tests/install-system-packages
	$(PIP) --require-hashes --no-build-isolation --use-pep517 -r requirements-readers.lock
	@touch $@

demo: venv
	$(BIN)/k12edge demo

test: venv .venv/readers
	sh tests/install-system-packages
	$(BIN)/python -m pytest -q -n 4 --dist worksteal

check: venv
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry --no-ansi .
	$(BIN)/python -m pytest -q tests/houserules

bench: venv
	sh tests/install-system-packages
	$(BIN)/python -m bench $(BENCH)

# The whole chain simulated: SEEDS school days, from seed SEED on.
SEEDS := 20
SEED := 1
sim: venv
	$(BIN)/python -m sim --seed $(SEED) --seeds $(SEEDS) $(SIM)

# Every campaign at full size, for some four hours; CAMPAIGN="--only NAME" or "--size small" for less.
campaign: venv
	sh tests/install-system-packages
	$(BIN)/python -m sim.proof $(CAMPAIGN)

# FUZZ="--count 10000000 --parser event" and MUTANTS="--only NAME" choose; see docs/internals/hostile.md.
fuzz: venv
	$(BIN)/python -m sim.fuzz $(FUZZ)

# Some named tests drive lamps and readers by their own libraries.
mutants: venv .venv/readers
	$(BIN)/python -m tests.mutants $(MUTANTS)

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --extra dev pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --constraint requirements.lock --extra readers pyproject.toml \
		-o requirements-readers.lock
	$(MAKE) venv .venv/readers
	$(BIN)/python firmware-config/rolelock.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache
