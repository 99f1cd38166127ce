# make: the miniature, from raw files to tables and figures. make test: all tests.
# make slurm-test: the workflow once more, on a Slurm that it starts and ends.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

CONFIG ?= config/config.yaml
METADATA = tar -czf .snakemake/metadata.tar.gz -C .snakemake metadata \
	&& mv .snakemake/metadata.tar.gz results/
WRITABLE = cache=$$(dvc cache dir); mkdir -p "$$cache"; chmod -R u+w "$$cache"

.PHONY: all run pull push setup test slurm-test lint clean

all: setup run

# A run that was killed leaves Snakemake's lock; the Snakefile has one that it does not leave.
# Snakemake takes a read-only file, as DVC's links are, for one that must not be made anew.
run:
	mkdir -p .snakemake results
	find results -type f ! -writable -exec chmod u+w {} +
	snakemake --nolock --cores all --rerun-incomplete --configfile "$(CONFIG)"
	$(METADATA)

# Snakemake tells what is to be done by time stamps, which DVC does not keep, and by its metadata.
# DVC takes a read-only file in its cache for whole, and reads a writable one that has changed.
pull: setup
	test -f dvc.lock \
		|| { echo "make: no dvc.lock here; check out a run's tag or branch first" >&2; exit 1; }
	$(WRITABLE)
	dvc pull
	$(WRITABLE)
	rm -rf .snakemake/incomplete
	mkdir -p .snakemake/incomplete
	tar -xzf results/metadata.tar.gz -C .snakemake
	find results -exec touch --no-dereference --date=@$$(date +%s) {} +

push: setup
	$(METADATA)
	dvc commit --force
	$(WRITABLE)
	dvc push

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
