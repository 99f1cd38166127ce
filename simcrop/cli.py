"""The command `simcrop`: one subcommand a stage, which repeats the run a settings.yaml states."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from simcrop import __version__, runs
from simcrop.errors import InputError

# Imported only when called: most runs need little of what the others import.
STEPS = {
    "acquire": "simcrop.acquire:acquire",
    "index": "simcrop.prepare:index",
    "volumes": "simcrop.prepare:volumes",
    "collect": "simcrop.prepare:collect",
    "text": "simcrop.pretrain.text:text",
    "encoder": "simcrop.pretrain.train:encoder",
    "classification": "simcrop.benchmark.probe:classification",
    "segmentation": "simcrop.benchmark.segment:segmentation",
    "localisation": "simcrop.benchmark.locate:localisation",
    "sample": "simcrop.benchmark.sample:sample",
    "table": "simcrop.report.tables:table",
    "figures": "simcrop.report.figures:figures",
}
STAGES = {
    "acquire": "make or find a dataset's raw files",
    "prepare": "index, resample and audit a cohort, split its reports into sentences",
    "pretrain": "train a text encoder or an encoder",
    "benchmark": "probe, fine-tune or localise with an encoder",
    "report": "write a table or the figures",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="simcrop", description=import_module("simcrop").__doc__)
    parser.add_argument("--version", action="version", version=f"simcrop {__version__}")
    stages = parser.add_subparsers(dest="stage", required=True, metavar="stage")
    for stage, help_ in STAGES.items():
        command = stages.add_parser(stage, help=help_, description=help_.capitalize() + ".")
        command.add_argument("settings", type=Path, help="the settings.yaml of a run of this stage")
    given = parser.parse_args(arguments)
    try:
        run(given.stage, given.settings)
    except InputError as error:
        print(f"simcrop: {error}", file=sys.stderr)
        return 1
    return 0


def run(stage: str, settings: Path) -> None:
    """Carry out the run stated in `settings`; its outputs are written beside that file."""
    stated = runs.load(settings)
    if stated.stage != stage:
        raise InputError(f"{settings}: a run of stage {stated.stage}; call simcrop {stated.stage}")
    module, function = STEPS[stated.step].split(":")
    getattr(import_module(module), function)(stated, settings.parent)


if __name__ == "__main__":
    sys.exit(main())
