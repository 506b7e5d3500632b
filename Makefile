# `make demo` and `make test` set everything up themselves.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(sort $(wildcard plugins/*/pyproject.toml))
COMPILED := $(wildcard src/layerkit/arithmetic/backends/_*.[ch])
INSTALLED := $(VENV)/installed
EXPERIMENTS := $(sort $(wildcard architectures/experiments/*.json))

.PHONY: demo pretrained quality report report-quick test lint bench bench-short gpu clean

$(INSTALLED): pyproject.toml constraints.txt $(PLUGINS) $(COMPILED)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $(foreach plugin,$(PLUGINS),--editable $(dir $(plugin)))
	touch $(INSTALLED)

# Trains a network in less than a minute, on photographs inside scikit-image, and holds it against classical methods on
# others.
demo: $(INSTALLED)
	$(BIN)/python -m benchmarks.demo

# Trains the network inside layerkit again, in an hour or two of one core, and puts it into its place. A training that
# was stopped goes on.
pretrained: $(INSTALLED)
	$(BIN)/layerkit train architectures/pretrained.json --data variety --output runs/pretrained
	$(BIN)/python -m benchmarks.pack runs/pretrained/checkpoint.safetensors

# Compares it with classical methods on pictures that it has not seen; with BM3D too where the package bm3d is installed.
quality: $(INSTALLED)
	$(BIN)/python -m benchmarks.quality

# Runs the report's experiments on two cores, in about half an hour; the page is runs/report/report.html.
report: QUICK =
# The same cut short to about two minutes, to see that everything works.
report-quick: QUICK = --quick
# Two processes with a thread each share the trials; when both have ended, the page is drawn from all results.
report report-quick: EXPERIMENT = $(BIN)/layerkit experiment $(EXPERIMENTS) $(QUICK)
report report-quick: $(INSTALLED)
	OMP_NUM_THREADS=1 $(EXPERIMENT) --quiet & OMP_NUM_THREADS=1 $(EXPERIMENT) && wait $$!
	$(EXPERIMENT) --redraw

# The examples that hypothesis draws are the same in every run; see CONTRIBUTING.md for longer searches.
test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# Style, the floors of the house, types.
lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# Times layerkit beside torch.nn and torch.compile, for about an hour, on a machine that should do nothing else meanwhile.
bench: $(INSTALLED)
	$(BIN)/python -m benchmarks --compile --json benchmarks/results.json

# The same in less than two minutes: fewer sizes.
bench-short: $(INSTALLED)
	$(BIN)/python -m benchmarks --short

# On a machine with a GPU: holds what it computes against the processor, then times it beside torch.nn, in eight minutes.
# GPU_PYTHON is one that has torch with CUDA and layerkit's other dependencies. Nothing is fetched; layerkit itself is
# installed there where it is not yet.
GPU_PYTHON ?= $(BIN)/python
gpu:
	$(GPU_PYTHON) -c "import layerkit_activations, layerkit_normalization, layerkit_optimizers" || \
	$(GPU_PYTHON) -m pip install --quiet --no-deps --no-build-isolation --no-index \
	--editable . $(foreach plugin,$(PLUGINS),--editable $(dir $(plugin)))
	PYTHONUNBUFFERED=1 $(GPU_PYTHON) -m benchmarks.gpu --json gpu.json

clean:
	rm -rf $(VENV) build *.egg-info src/*.egg-info
