# The commands of the house: `make run` serves, `make test` tests, `make check` is what CI runs.
# CARBON_HOME, PORT, DATABASE_URL and REDIS_URL are read by the programs, from the environment or
# from make's command line: make run PORT=8001 CARBON_HOME=/srv/carbon

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := --disable-pip-version-check --quiet install

.PHONY: help run test check checks checks-deep demo bench lock clean
.DEFAULT_GOAL := help

help:
	@echo "make run    serve on 127.0.0.1:\$${PORT:-8000}, with all it needs under \$${CARBON_HOME:-var}"
	@echo "make test   run every test, against engines of its own"
	@echo "make check  ruff, mypy, and the tests with coverage"
	@echo "make checks races, kills, a restore: what is promised, tried by force; checks-deep: longer"
	@echo "make demo   play a simulated month against the running service"
	@echo "make bench  measure, and write var/bench/latest.json"
	@echo "make lock   pin the newest dependencies that pyproject.toml allows (needs uv)"
	@echo "make clean  remove what was built and installed; never the data"

run: $(INSTALLED)
	@$(BIN)/carbon run

test: $(INSTALLED)
	$(BIN)/python -m pytest

demo: $(INSTALLED)
	@$(BIN)/carbon demo

bench: $(INSTALLED)
	$(BIN)/python benchmarks/run.py

# One recipe, so that the order holds under `make -j`: the quickest check complains first.
check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --cov --cov-report=term

checks: $(INSTALLED)
	$(BIN)/python -m checks gate

checks-deep: $(INSTALLED)
	$(BIN)/python -m checks deep

# The installation waits while a running service or another `make` holds the environment, because
# changed files under a running program break it in odd ways. Who is up to date waits for nobody.
define under_lock
import fcntl, subprocess, sys
with open("$(VENV)/.lock", "w") as lock:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Waiting for the service or the installation that uses $(VENV) …", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    sys.exit(subprocess.call(sys.argv[1:]))
endef
define new_enough
import sys
found = "%s is Python %s" % (sys.executable, sys.version.split()[0])
sys.exit(sys.version_info < (3, 11) and found + "; 3.11 or newer is needed: make PYTHON=python3.12")
endef
# Where the system's Python comes without `ensurepip` (Debian), its own pip fills the environment.
define install
set -e
if [ $(INSTALLED) -nt requirements.lock ] && [ $(INSTALLED) -nt pyproject.toml ]; then exit 0; fi
echo "Installing the pinned dependencies into $(VENV) …"
if $(PYTHON) -m venv $(VENV) >$(VENV)/.log 2>&1; then
    pip="$(BIN)/python -m pip"
else
    $(PYTHON) -m venv --without-pip $(VENV)
    pip="$(PYTHON) -m pip --python $(BIN)/python"
fi
$$pip $(PIP) --require-hashes -r requirements.lock
$$pip $(PIP) --no-deps --no-build-isolation -e .
touch $(INSTALLED)
endef
export under_lock new_enough install

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c "$$new_enough"
	@mkdir -p $(VENV)
	@$(PYTHON) -c "$$under_lock" sh -c "$$install"

lock:
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header \
	    --python-version 3.11 --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
	find service tests migrations benchmarks checks -name __pycache__ -type d -prune -exec rm -rf {} +
