"""LUNA16: 888 chest CTs with nodule annotations and lung masks (Setio et al., MedIA 2017).

Source: Zenodo records 3723295 (subsets 0-6) and 4121926 (7-9), CC BY 4.0, 66 GB packed.

Raw layout:
    subset0 … subset9/<series uid>.mhd and .raw
    seg-lungs-LUNA16/<series uid>.mhd and .zraw      (optional; without it there are no masks)
    annotations.csv        seriesuid, coordX, coordY, coordZ, diameter_mm; LPS mm
    candidates_V2.csv      seriesuid, coordX, coordY, coordZ, class; or in candidates_V2/

Label: Lung nodule, whether a scan has a row in annotations.csv. Splits: none of its own; its ten
subsets are folds. LIDC-IDRI's patients are not named in it: each scan is its own patient.

Known faults: the lung masks hold 3, 4 and 5; which of 3 and 4 is left was not seen in a primary
source, and the audit notes every scan in which the left lung lies to the right. The official lists'
26 validation cases for segmentation are test cases too, and are not used here.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from simcrop import remote, sections
from simcrop.cohorts import layout
from simcrop.errors import InputError
from simcrop.formats import cases
from simcrop.progress import progress

if TYPE_CHECKING:
    import nibabel

HOST = remote.Host("zenodo", ("3723295", "4121926"))
STRUCTURES = {1: "left lung", 2: "right lung", 3: "trachea"}
MASK_CODES = {3: 1, 4: 2, 5: 3}
LABEL = "Lung nodule"
_MASKS = "seg-lungs-LUNA16"
_POSITION = ("coordX", "coordY", "coordZ")
_WITH_NODULE = 0.6


def index(raw: Path, cohort: str) -> pd.DataFrame:
    """The case table of all scans in the subsets or in candidates_V2.csv.

    Raises:
        InputError: a CSV is missing, or a scan lies in two subsets.
    """
    annotated = set(layout.read_csv(raw / "annotations.csv", None, ["seriesuid"])["seriesuid"])
    candidates = raw / "candidates_V2.csv"
    if not candidates.exists() and (inside := raw / "candidates_V2" / candidates.name).exists():
        candidates = inside
    listed = set(layout.read_csv(candidates, None, ["seriesuid"])["seriesuid"])
    scans = raw.glob(f"subset*/{layout.VISIBLE}.mhd")
    files = [(path.stem, path.relative_to(raw).as_posix()) for path in scans]
    # A scan of which there is no file keeps a path that does not exist, for the audit to name.
    absent = (annotated | listed) - {uid for uid, _ in files}
    files += [(uid, f"subset?/{uid}.mhd") for uid in absent]
    masked = (raw / _MASKS).is_dir()
    rows = [
        {
            "case": uid,
            "patient": uid,
            "scan": uid,
            "path": path,
            "mask": f"{_MASKS}/{uid}.mhd" if masked else "",
            cases.LABEL + LABEL: float(uid in annotated),
        }
        for uid, path in sorted(files)
    ]
    if not rows:
        raise InputError(
            f"{raw}: no scan; acquire.luna16.folder is the folder that holds subset0 to subset9"
        )
    return layout.case_table(raw, cohort, rows)


def make(raw: Path, settings: sections.Synthetic, seed: int) -> None:
    """Write a synthetic cohort; three in five scans have a nodule, and some have other findings."""
    from simcrop.cohorts.synthetic import case, space

    ids = {code: STRUCTURES[structure] for code, structure in MASK_CODES.items()}
    others = dict.fromkeys(("Emphysema", "Pulmonary fibrotic sequela"), settings.prevalence)
    plan = case.usual({LABEL: _WITH_NODULE, **others})
    annotations, candidates = [], []
    for number in progress(range(settings.cases), "luna16"):
        uid = f"1.2.826.0.1.3680043.10.1.{number + 1}"
        rng = space.generator(seed, f"{uid}/storage")
        grid = space.field_like(rng, settings.spacing)
        drawn = case.draw(uid, seed, settings, grid, plan=plan)
        axes = rng.choice(["LPS", "LPS", "RPS", "LAS"])
        image = layout.oriented(drawn.volume, grid.affine, axes)
        _write(raw / f"subset{number % 10}" / f"{uid}.mhd", image, compress=False)
        mask = layout.structure_ids(drawn.structures, ids)
        mask = layout.oriented(mask, grid.affine, axes)
        _write(raw / _MASKS / f"{uid}.mhd", mask, compress=True)
        for lesion in drawn.lesions:
            if lesion.label == LABEL:
                inside = np.argwhere(drawn.lesion_mask & (1 << (lesion.number - 1)))
                position = _lps(grid.affine, inside.mean(0))
                annotations.append((uid, *position, float(lesion.mm)))
                candidates.append((uid, *position, 1))
        candidates.append((uid, *_lps(grid.affine, rng.uniform(0.3, 0.7, 3) * grid.shape), 0))
    for name, rows, last in (
        ("annotations.csv", annotations, "diameter_mm"),
        ("candidates_V2.csv", candidates, "class"),
    ):
        columns = ["seriesuid", *_POSITION, last]
        layout.write_csv(raw / name, pd.DataFrame(rows, columns=columns))


def _lps(affine: np.ndarray, voxel: np.ndarray) -> list[float]:
    """A voxel index in RAS as a position in LPS mm."""
    x, y, z = affine[:3, :3] @ voxel + affine[:3, 3]
    return [round(float(mm), 3) for mm in (-x, -y, z)]


def _write(path: Path, image: "nibabel.Nifti1Image", compress: bool) -> None:
    """Write a nibabel image as .mhd with .raw beside it, or .zraw if compressed."""
    import SimpleITK as sitk

    path.parent.mkdir(parents=True, exist_ok=True)
    spacing = [float(mm) for mm in image.header.get_zooms()]
    affine = np.diag([-1, -1, 1, 1]) @ image.affine
    out = sitk.GetImageFromArray(np.ascontiguousarray(np.asarray(image.dataobj).T))
    out.SetSpacing(spacing)
    out.SetOrigin(affine[:3, 3].tolist())
    out.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    sitk.WriteImage(out, str(path), useCompression=compress)
