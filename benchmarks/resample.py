"""A CT from .nii.gz to the volume store, and a crop from it, against the public way.

    python benchmarks/resample.py CT.nii.gz
    python benchmarks/resample.py            # a smooth random volume of 512 x 512 x 133

The public way reads with nibabel's get_fdata, interpolates with torch and writes with savez. Each
way runs in processes of its own, on one thread: seconds of CPU time and the most memory held,
imports included, of a process for one volume; and what each further volume of a process takes, as
in a shard. Both write the same grid; how far the suite's voxels are from trilinear interpolation
in float64 at the places that the affines state is printed, too. Then random crops of
224 x 224 x 112 voxels from the store, against those from a .nii.gz of the same volume.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

# The two grids of config/paper.yaml.
COARSE = (1.5, 1.5, 3.0)
FINE = (1.0, 1.0, 1.0)
CROP = (224, 224, 112)
REPEATS = 3
FURTHER = 4


def suite(source: Path, target: Path, spacing: tuple[float, float, float]) -> None:
    """The suite's way."""
    from simcrop.formats.volumes import VolumeWriter
    from simcrop.prepare import readers, resample

    hints = dict.fromkeys(("spacing", "orientation", "slope", "intercept"), "")
    scan = readers.read(source, hints)
    volume = resample.resample(scan, spacing)
    with VolumeWriter(target) as store:
        store.add("ct", volume.array, volume.affine)


def public(source: Path, target: Path, spacing: tuple[float, float, float]) -> None:
    """The public way, onto the grid of the same shape."""
    import nibabel
    import torch
    import torch.nn.functional as F

    image = nibabel.load(source)
    array = image.get_fdata()
    zooms = image.header.get_zooms()
    shape = [round(n * mm / to) for n, mm, to in zip(array.shape, zooms, spacing, strict=True)]
    tensor = torch.tensor(array)[None, None]
    resized = F.interpolate(tensor, size=shape, mode="trilinear", align_corners=False)
    np.savez(target, resized[0, 0].numpy().astype(np.int16))


def measured(
    way: str, source: Path, target: Path, spacing: tuple[float, float, float], volumes: int
) -> dict[str, float]:
    """CPU seconds and GiB of a process that takes one way, for so many volumes."""
    command = [sys.executable, __file__, "--way", way, str(volumes), str(source), str(target)]
    command += ["--spacing", *map(str, spacing)]
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLOSC_NTHREADS")}
    done = subprocess.run(command, env=os.environ | threads, check=True, capture_output=True)
    return json.loads(done.stdout.splitlines()[-1])


def take(
    way: str, volumes: int, source: Path, target: Path, spacing: tuple[float, float, float]
) -> None:
    """Take one way in this process, and print what it took."""
    for _ in range(volumes):
        {"suite": suite, "public": public}[way](source, target, spacing)
    # Unlike getrusage, this leaves out what the process that started this one held.
    status = Path("/proc/self/status").read_text()
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
    print(json.dumps({"seconds": time.process_time(), "GiB": peak / 2**20}))


def compare(source: Path, folder: Path, spacing: tuple[float, float, float]) -> None:
    """Print what both ways take to bring `source` to `spacing`, in turns."""
    targets = {"public": folder / "public.npz", "suite": folder / "suite.zip"}
    taken: dict[str, list[tuple[float, float, float]]] = {way: [] for way in targets}
    for _ in range(REPEATS):
        for way, target in targets.items():
            runs = [measured(way, source, target, spacing, n) for n in (1, 1 + FURTHER)]
            further = (runs[1]["seconds"] - runs[0]["seconds"]) / FURTHER
            taken[way].append((runs[0]["seconds"], runs[0]["GiB"], further))
    print("to", " x ".join(map(str, spacing)), "mm")
    medians = {way: np.median(values, axis=0) for way, values in taken.items()}
    for way, (seconds, memory, further) in medians.items():
        print(
            f"  {way}: {seconds:.2f} s of CPU time and {memory:.2f} GiB for one volume, "
            f"{further:.2f} s for each further one"
        )
    seconds, memory, further = medians["public"] / medians["suite"]
    print(
        f"  {seconds:.1f} times as fast for one, {further:.1f} times for each further one, "
        f"with 1/{memory:.1f} of the memory"
    )
    share = share_within_1_hu(source, targets["suite"])
    print(f"  {100 * share:.3f} % of the voxels within 1 HU of float64 interpolation")


def share_within_1_hu(source: Path, target: Path) -> float:
    """How many voxels of the store lie within 1 HU of float64 interpolation."""
    import nibabel
    from scipy import ndimage

    from simcrop.formats.volumes import VolumeStore

    store = VolumeStore(target)
    image = nibabel.load(source)
    array, volume = image.get_fdata(), store.read("ct")
    transform = np.linalg.inv(image.affine) @ store.affine("ct")
    expected = np.empty(volume.shape)
    for z in range(volume.shape[2]):
        voxels = np.indices((*volume.shape[:2], 1)).reshape(3, -1).astype(float)
        voxels[2] = z
        places = transform[:3, :3] @ voxels + transform[:3, 3:]
        values = ndimage.map_coordinates(array, places, order=1, mode="nearest")
        expected[:, :, z] = values.reshape(volume.shape[:2])
    return float((np.abs(expected - volume) <= 1).mean())


def crops(source: Path, folder: Path) -> tuple[float, float]:
    """CPU seconds of a random crop from the store, and from a .nii.gz of the same volume."""
    import nibabel

    from simcrop.formats.volumes import VolumeStore

    suite(source, folder / "fine.zip", FINE)
    store = VolumeStore(folder / "fine.zip")
    volume = nibabel.Nifti1Image(store.read("ct"), store.affine("ct"))
    nibabel.save(volume, folder / "fine.nii.gz")
    rng = np.random.default_rng(0)
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS):
        spare = [max(n - edge, 0) for n, edge in zip(volume.shape, CROP, strict=True)]
        starts = [int(rng.integers(most + 1)) for most in spare]
        region = tuple(slice(s, s + e) for s, e in zip(starts, CROP, strict=True))
        before = time.process_time()
        ours = store.read("ct", region)
        between = time.process_time()
        theirs = np.asarray(nibabel.load(folder / "fine.nii.gz").dataobj[region])
        after = time.process_time()
        assert np.array_equal(ours, theirs)
        taken[0].append(between - before)
        taken[1].append(after - between)
    return min(taken[0]), min(taken[1])


def drawn(folder: Path) -> Path:
    """A smooth volume with the noise of a CT."""
    import nibabel
    from scipy import ndimage

    rng = np.random.default_rng(0)
    coarse = rng.uniform(-1000, 400, (16, 16, 8))
    array = ndimage.zoom(coarse, (32, 32, 133 / 8), order=1) + rng.normal(0, 20, (512, 512, 133))
    image = nibabel.Nifti1Image(array.astype(np.int16), np.diag([-0.7, 0.7, 2.5, 1]))
    nibabel.save(image, folder / "ct.nii.gz")
    return folder / "ct.nii.gz"


def main() -> None:
    """Measure both ways in turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("source", nargs="?", type=Path)
    parser.add_argument("target", nargs="?", type=Path)
    parser.add_argument("--way", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--spacing", nargs=3, type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        take(given.way[0], int(given.way[1]), given.source, given.target, given.spacing)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = given.source or drawn(folder)
        for spacing in (COARSE, FINE):
            compare(source, folder, spacing)
        ours, theirs = crops(source, folder)
        print(
            f"a crop: store {1000 * ours:.0f} ms, .nii.gz {1000 * theirs:.0f} ms, "
            f"{theirs / ours:.1f} times as fast"
        )


if __name__ == "__main__":
    main()
