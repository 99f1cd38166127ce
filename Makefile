# make: the miniature, from raw files to tables and figures. make test: all tests.
# make slurm-test: the workflow once more, on a Slurm that it starts and ends.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: all setup test slurm-test lint clean

# A run that was killed leaves a lock and half-made outputs; the flock keeps two runs apart, so that
# a lock found here is a dead one.
all: setup
	mkdir -p .snakemake
	flock --nonblock .snakemake/make.lock \
		bash -c 'snakemake --unlock --quiet all && snakemake --cores all --rerun-incomplete' \
		|| { echo "make: the run failed, or another one is at work in this folder" >&2; exit 1; }

setup: .venv/setup.stamp

# torch first: a looser request would bring a CUDA build of several gigabytes to a machine without GPU.
.venv/setup.stamp: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	pip install --quiet "$$(grep '^torch==' requirements.lock)"
	pip install --quiet --requirement requirements.lock
	pip install --quiet --no-deps --editable .
	touch $@

test: setup lint
	python -m pytest -n 2 --dist loadgroup

# As root, with Debian's package slurm-wlm; elsewhere it says so and is skipped.
slurm-test: setup
	python -m pytest -m slurm -s -rs tests/slurm

lint: setup
	ruff check .
	ruff format --check .
	snakefmt --check workflow
	snakemake --lint

clean:
	rm -rf results .snakemake
