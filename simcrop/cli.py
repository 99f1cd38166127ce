"""The command `simcrop`: a subcommand a stage, which repeats the run a settings.yaml states, and
others for one's own files and for what comes of a run."""

import argparse
import signal
import sys
from importlib import import_module
from pathlib import Path

from simcrop import __version__, devices, runs
from simcrop.errors import DISK_FULL, InputError, Stopped
from simcrop.launch import launch
from simcrop.processes import joined, rank

# Imported only when called: most runs need little of what the others import.
STEPS = {
    "acquire": "simcrop.acquire.run:acquire",
    "lists": "simcrop.acquire.run:lists",
    "index": "simcrop.prepare.run:index",
    "volumes": "simcrop.prepare.shard:volumes",
    "collect": "simcrop.prepare.run:collect",
    "text": "simcrop.pretrain.text:text",
    "encoder": "simcrop.pretrain.train:encoder",
    "classification": "simcrop.benchmark.probe:classification",
    "segmentation": "simcrop.benchmark.segment:segmentation",
    "localisation": "simcrop.benchmark.locate:localisation",
    "retrieval": "simcrop.benchmark.retrieve:retrieval",
    "sample": "simcrop.benchmark.sample:sample",
    "table": "simcrop.report.tables:table",
    "summary": "simcrop.report.summary:summary",
    "figures": "simcrop.report.figures:figures",
    "sweeps": "simcrop.report.figures:sweeps",
    "page": "simcrop.report.page:page",
}
STAGES = {
    "acquire": "make, find or fetch a dataset's raw files",
    "prepare": "index, resample and audit a cohort, split its reports into sentences",
    "pretrain": "train a text encoder or an encoder",
    "benchmark": "probe, fine-tune or localise with an encoder",
    "report": "write a table, the figures or the page that holds both",
}
# The steps whose training is divided among processes.
DIVIDED = ("encoder", "segmentation")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="simcrop", description=import_module("simcrop").__doc__)
    parser.add_argument("--version", action="version", version=f"simcrop {__version__}")
    stages = parser.add_subparsers(dest="stage", required=True, metavar="stage")
    for stage, help_ in STAGES.items():
        command = stages.add_parser(stage, help=help_, description=help_.capitalize() + ".")
        if stage == "acquire":
            command.add_argument(
                "--check",
                nargs="*",
                metavar="CONFIG",
                type=Path,
                help="fetch nothing; tell what is there, what is missing and its size, under these "
                "files over config/config.yaml",
            )
        command.add_argument(
            "settings",
            type=Path,
            nargs="?" if stage == "acquire" else None,
            help="the settings.yaml of a run of this stage",
        )
        if stage in ("pretrain", "benchmark"):
            command.add_argument(
                "--processes", type=count, default=1, metavar="N", help="on each node; one a GPU"
            )
            command.add_argument(
                "--nodes", type=count, default=1, metavar="M", help="of the Slurm allocation"
            )
    _own_scans(stages)
    given = parser.parse_args(arguments)
    try:
        if given.stage == "acquire" and given.check is not None:
            check(given.check)
        elif given.stage in STAGES:
            if given.settings is None:
                parser.error("acquire: name a settings.yaml, or give --check")
            run(given.stage, given.settings, **_several(given))
        else:
            given.function(given)
    except InputError as error:
        print(f"simcrop: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        place = f"{error.filename}: " if error.filename else ""
        print(
            f"simcrop: {place}no space left on the disk; make room, and start again: what is "
            "finished stays",
            file=sys.stderr,
        )
        return 1
    except Stopped as stop:
        if rank() == 0:
            print(f"simcrop: {stop}", file=sys.stderr)
        return 128 + signal.SIGTERM
    return 0


def _own_scans(commands: argparse._SubParsersAction) -> None:
    help_ = "bring a CT to a spacing, as NIfTI in RAS"
    command = commands.add_parser("resample", help=help_, description=help_.capitalize() + ".")
    command.add_argument("source", type=Path, metavar="IN", help="NIfTI, mhd/mha, nrrd, npz, DICOM")
    command.add_argument("target", type=Path, metavar="OUT", help=".nii.gz or .nii")
    spacing = {"nargs": 3, "type": float, "metavar": ("X", "Y", "Z")}
    command.add_argument("--spacing", **spacing, required=True, help="mm, of the result")
    command.add_argument("--input-spacing", **spacing, help="mm along the stored axes of an npz")
    command.add_argument("--input-orientation", metavar="CODES", help="of these axes, such as IPL")
    command.set_defaults(function=resample)

    help_ = "part a report into sentences"
    command = commands.add_parser("sentences", help=help_, description=help_.capitalize() + ".")
    command.add_argument("file", type=Path, metavar="FILE", help="a text file with one report")
    command.add_argument("--json", action="store_true", help="with the offsets in characters")
    command.set_defaults(function=sentences)

    help_ = "write one vector a scan"
    command = commands.add_parser("embed", help=help_, description=help_.capitalize() + ".")
    command.add_argument("scans", nargs="+", type=Path, metavar="CT", help="NIfTI, mhd/mha, nrrd")
    command.add_argument("--weights", type=Path, required=True, help="weights.safetensors")
    command.add_argument("--out", type=Path, default=Path("embeddings.csv"), help="a CSV file")
    command.set_defaults(function=embed)

    help_ = "show where in a scan a sentence is true"
    command = commands.add_parser("locate", help=help_, description=help_.capitalize() + ".")
    command.add_argument("scan", type=Path, metavar="CT", help="NIfTI, mhd/mha, nrrd")
    command.add_argument("--weights", type=Path, required=True, help="weights.safetensors")
    command.add_argument("--sentence", required=True, help="as a radiologist would write it")
    command.add_argument("--text-encoder", help="folder or hub id, if it lies elsewhere by now")
    command.add_argument("--out", type=Path, default=Path(), help="folder of the two files")
    command.set_defaults(function=locate)

    help_ = "send weights to the Hugging Face hub"
    command = commands.add_parser("push", help=help_, description=help_.capitalize() + ".")
    command.add_argument("weights", type=Path, help="weights.safetensors")
    command.add_argument("repository", metavar="OWNER/NAME", help="made, and private, if new")
    command.add_argument("--text-encoder", type=Path, help="folder, if it lies elsewhere by now")
    command.set_defaults(function=push)


def check(configs: list[Path]) -> None:
    """Print what acquiring the datasets of the configuration would fetch."""
    from simcrop import settings
    from simcrop.acquire.check import check as lines

    for line in lines(settings.read([*settings.DEFAULTS, *configs])):
        print(line, flush=True)


def resample(given: argparse.Namespace) -> None:
    """Write `given.source` to `given.target` and print the new grid."""
    from simcrop.prepare.command import resample_file

    volume = resample_file(
        given.source, given.target, given.spacing, given.input_spacing, given.input_orientation
    )
    print(given.target, "x".join(map(str, volume.array.shape)), "voxels")


def sentences(given: argparse.Namespace) -> None:
    """Print the sentences of `given.file`, one a line or as JSON."""
    import json

    from simcrop.prepare.sentences import parse

    found = parse(given.file)
    if given.json:
        names = ("text", "start", "end")
        rows = [dict(zip(names, sentence, strict=True)) for sentence in found]
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        print(*(" ".join(text.split()) for text, _, _ in found), sep="\n")


def embed(given: argparse.Namespace) -> None:
    """Write the vectors of `given.scans`: scan, f0, f1 …"""
    import pandas as pd

    from simcrop import files
    from simcrop.inference import Encoder
    from simcrop.progress import progress

    encoder = Encoder(given.weights)
    vectors = [encoder.embed(scan) for scan in progress(given.scans, "scans")]
    table = pd.DataFrame(vectors).add_prefix("f")
    table.insert(0, "scan", [str(scan) for scan in given.scans])
    with files.whole(given.out) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    print(given.out)


def locate(given: argparse.Namespace) -> None:
    """Write the heat map and the picture of `given.scan`, and print the best patches."""
    from simcrop.inference import Encoder

    found = Encoder(given.weights, given.text_encoder).locate(given.scan, given.sentence)
    stem = given.scan.name.split(".")[0]
    heat, picture = (given.out / f"{stem}.similarity{end}" for end in (".nii.gz", ".png"))
    found.save(heat, picture)
    print("cosine   right, front and head of the origin, mm")
    for (x, y, z), cosine in found.best[:5]:
        print(f"{cosine:6.3f}   {x:8.1f} {y:8.1f} {z:8.1f}")
    print(heat, picture, sep="\n")


def push(given: argparse.Namespace) -> None:
    """Send `given.weights` to the hub and print the address."""
    from simcrop import hub

    print(hub.push(given.weights, given.repository, given.text_encoder))


def run(stage: str, settings: Path, processes: int = 1, nodes: int = 1) -> None:
    """Carry out the run stated in `settings`; its outputs are written beside that file."""
    stated = runs.load(settings)
    if stated.stage != stage:
        raise InputError(f"{settings}: a run of stage {stated.stage}; call simcrop {stated.stage}")
    if processes * nodes > 1 and stated.step not in DIVIDED:
        raise InputError(f"{settings}: {stated.step} runs in one process; leave out --processes")
    if stage in ("pretrain", "benchmark"):
        devices.lease(processes)
    launch([stage, str(settings)], processes, nodes)
    module, function = STEPS[stated.step].split(":")
    with joined():
        getattr(import_module(module), function)(stated, settings.parent)


def count(text: str) -> int:
    """A number from 1 on, as argparse reads it."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


def _several(given: argparse.Namespace) -> dict[str, int]:
    return {name: vars(given)[name] for name in ("processes", "nodes") if name in given}


if __name__ == "__main__":
    sys.exit(main())
