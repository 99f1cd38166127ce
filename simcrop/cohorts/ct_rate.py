"""CT-RATE: 50,188 chest CTs with reports and 18 labels (Hamamci et al., arXiv 2403.17834).

Source: Hugging Face dataset ibrahimhamamci/CT-RATE, gated, CC BY-NC-SA 4.0, about 12 TB.

Raw layout, below dataset/:
    {train,valid}[_fixed]/train_1/train_1_a/train_1_a_1.nii.gz   (patient, scan, reconstruction)
    metadata/{train,validation}_metadata.csv
    metadata/no_chest_{train,valid}.txt                          (optional)
    radiology_text_reports/{train,validation}_reports.csv
    multi_abnormality_labels/{train,valid}_predicted_labels.csv
Where both train_fixed and train hold a volume, the first is taken.

Labels: 18, predicted from the reports. Splits: the volumes called valid are the test cases, as in
all published comparisons; the validation cases are to be drawn from the training patients.

Known faults, and what is done here:
- Reconstructions of a scan are rows of their own: they share `scan` and `patient`.
- Volumes without a header (spacing 1 mm, identity affine): spacing and orientation are stated from
  the metadata. The reader uses them only where the header is blank, since the spacings in
  validation_metadata.csv are wrong in places. Stored axes are taken as column, row and slice
  (unsure).
- Volumes of the second version, in *_fixed, are HU already, but the metadata still give the slope
  and intercept of the first. They are stated for volumes outside *_fixed alone, and the reader
  takes them only where the header is blank. A volume of the first version with a full header and
  no slope in it is then not in HU, which the audit sees by its lack of lung: it is set aside.
- Head scans among them (752 + 37), listed by their paths in no_chest_*.txt, are left out of the
  table, so that they do not count as bad cases either.

The synthetic cohort adds synthetic/lesions.csv (case, lesion, label, side, sentence) and bit masks
synthetic/lesions/<case>.nii.gz, in which bit lesion - 1 is set where that lesion lies.
"""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from simcrop import remote, sections
from simcrop.cohorts import layout
from simcrop.cohorts.synthetic.lesions import LABELS
from simcrop.errors import InputError
from simcrop.formats import cases
from simcrop.progress import progress

if TYPE_CHECKING:
    import nibabel

    from simcrop.cohorts.synthetic.case import Case

HOST = remote.Host(
    "hub",
    ("ibrahimhamamci/CT-RATE",),
    files=(
        "dataset/metadata/*",
        "dataset/radiology_text_reports/*",
        "dataset/multi_abnormality_labels/*",
        "dataset/train_fixed/*",
        "dataset/valid_fixed/*",
    ),
    volumes=("*.nii.gz",),
    access="accept the terms at https://huggingface.co/datasets/ibrahimhamamci/CT-RATE",
)
_KEY = "VolumeName"
_METADATA = ("RescaleSlope", "RescaleIntercept", "XYSpacing", "ZSpacing", "ImageOrientationPatient")
_REPORT = ("Findings_EN", "Impressions_EN")
# The dataset's name of a split, as the folders have it: its name in the CSVs, and ours.
_SPLITS = {"train": ("train", "train"), "valid": ("validation", "test")}
_LESIONS = Path(layout.SYNTHETIC, "lesions")
_ORIENTATIONS = ("LPS", "RAS", "LAS", "RPS", "LPI", "PLS", "ASL")


def index(raw: Path, cohort: str) -> pd.DataFrame:
    """The case table; splits of which nothing is there are left out.

    Raises:
        InputError: a CSV or a column of it is missing, a volume is named otherwise, or none of
            the volumes is in a list of head scans.
    """
    masks = {path.name for path in (raw / _LESIONS).glob("*.nii.gz")}
    rows = []
    for split, (_, ours) in _SPLITS.items():
        here = [folder for folder in _folders(split) if (raw / folder).is_dir()]
        metadata = _file(raw, split, "metadata")
        if here or metadata.exists():
            rows += _rows(raw, split, ours, here, masks)
    if not rows:
        raise InputError(
            f"{raw / 'dataset'}: neither volumes nor metadata; acquire.ct-rate.folder is "
            "the folder that holds dataset/"
        )
    return layout.case_table(raw, cohort, rows)


def _folders(split: str) -> list[str]:
    return [f"dataset/{split}_fixed", f"dataset/{split}"]


def _file(raw: Path, split: str, kind: str) -> Path:
    name = _SPLITS[split][0]
    files = {
        "metadata": f"metadata/{name}_metadata.csv",
        "no_chest": f"metadata/no_chest_{split}.txt",
        "reports": f"radiology_text_reports/{name}_reports.csv",
        "labels": f"multi_abnormality_labels/{split}_predicted_labels.csv",
    }
    return raw / "dataset" / files[kind]


def _rows(
    raw: Path, split: str, ours: str, here: list[str], masks: set[str]
) -> Iterator[dict[str, object]]:
    metadata = layout.read_csv(_file(raw, split, "metadata"), _KEY, _METADATA)
    reports = layout.read_csv(_file(raw, split, "reports"), _KEY, _REPORT).to_dict("index")
    path = _file(raw, split, "labels")
    marks = layout.labels(path, layout.read_csv(path, _KEY, LABELS)[list(LABELS)])
    marks = marks.add_prefix(cases.LABEL).to_dict("index")
    unknown = dict.fromkeys((cases.LABEL + label for label in LABELS), np.nan)
    skipped = _no_chest(raw, split, {volume.removesuffix(".nii.gz") for volume in metadata.index})
    for volume, stated in metadata.to_dict("index").items():
        case = volume.removesuffix(".nii.gz")
        parts = case.split("_")
        if len(parts) != 4:
            raise InputError(
                f"{_file(raw, split, 'metadata')}: '{volume}' is not named split_patient_scan_"
                "reconstruction; take it out"
            )
        if case in skipped:
            continue
        patient, scan = "_".join(parts[:2]), "_".join(parts[:3])
        inside = f"{patient}/{scan}/{case}.nii.gz"
        found = [f"{folder}/{inside}" for folder in here if (raw / folder / inside).exists()]
        file = found[0] if found else f"{(here or _folders(split))[0]}/{inside}"
        report = reports.get(volume, dict.fromkeys(_REPORT, ""))
        yield {
            "case": case,
            "patient": patient,
            "scan": scan,
            "split": ours,
            "path": file,
            "mask": str(_LESIONS / f"{case}.nii.gz") if f"{case}.nii.gz" in masks else "",
            "findings": report["Findings_EN"],
            "impression": report["Impressions_EN"],
            **_hints(stated, scaled="_fixed/" in file),
            **marks.get(volume, unknown),
        }


def _no_chest(raw: Path, split: str, known: set[str]) -> set[str]:
    """The cases of the list of head scans, which names them by their paths."""
    path = _file(raw, split, "no_chest")
    lines = path.read_text(encoding="utf-8").split() if path.exists() else []
    listed = {PurePosixPath(line).name.removesuffix(".nii.gz") for line in lines}
    if listed and not listed & known:
        raise InputError(
            f"{path}: none of its {len(listed)} scans, such as '{lines[0]}', is in "
            f"{_file(raw, split, 'metadata').name}; fetch both again, or take the list away"
        )
    return listed


def _hints(stated: dict[str, str], scaled: bool) -> dict[str, str]:
    plane, through = _numbers(stated["XYSpacing"]), _numbers(stated["ZSpacing"])
    hints = {}
    if plane and len(through) == 1:
        hints["spacing"] = " ".join(f"{mm:g}" for mm in (plane[0], plane[-1], through[0]))
    cosines = np.round(_numbers(stated["ImageOrientationPatient"]))
    if cosines.tolist() == [1, 0, 0, 0, 1, 0]:
        hints["orientation"] = "LPS"
    if not scaled:
        hints |= {"slope": stated["RescaleSlope"], "intercept": stated["RescaleIntercept"]}
    return hints


def _numbers(text: str) -> list[float]:
    try:
        return np.ravel(json.loads(text)).astype(float).tolist()
    except ValueError:
        return []


def make(raw: Path, settings: sections.Synthetic, seed: int) -> None:
    """Write a synthetic cohort, four fifths of it for training.

    Some scans have two reconstructions, some patients two scans. Volumes are stored in several
    orientations; some as HU, some with an intercept in the header, some without any header.
    """
    from simcrop.cohorts.synthetic import case, space

    train = round(0.8 * settings.cases)
    counts = {"train": train, "valid": settings.cases - train}
    tables: dict[str, list[dict[str, object]]] = {}
    lesions = []
    visits = [visit for split, count in counts.items() for visit in _visits(split, count, seed)]
    for split, patient, scan, number in progress(visits, "ct-rate"):
        name = f"{scan}_{number}"
        rng = space.generator(seed, f"{name}/storage")
        grid = space.field_like(rng, settings.spacing)
        drawn = case.draw(scan, seed, settings, grid, patient=patient, reconstruction=number)
        file = f"{name}.nii.gz"
        image, mask = _stored(drawn, rng)
        layout.write_nifti(raw / "dataset" / split / patient / scan / file, image)
        layout.write_nifti(raw / _LESIONS / file, mask)
        for lesion in drawn.lesions:
            lesions.append((name, lesion.number, lesion.label, lesion.side, lesion.sentence))
        tabled = {
            "metadata": {
                "RescaleSlope": 1,
                "RescaleIntercept": -1024,
                "XYSpacing": str([*grid.spacing[:2]]),
                "ZSpacing": grid.spacing[2],
                "ImagePositionPatient": str(
                    [-grid.affine[0, 3], -grid.affine[1, 3], grid.affine[2, 3]]
                ),
                "ImageOrientationPatient": "[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]",
            },
            "reports": {
                "ClinicalInformation_EN": "Synthetic case.",
                "Technique_EN": "Drawn, not scanned.",
                "Findings_EN": drawn.findings,
                "Impressions_EN": drawn.impression,
            },
            "labels": drawn.labels,
        }
        for kind, row in tabled.items():
            path = _file(raw, split, kind)
            tables.setdefault(str(path), []).append({_KEY: file, **row})
    for path, rows in tables.items():
        layout.write_csv(Path(path), pd.DataFrame(rows))
    columns = ["case", "lesion", "label", "side", "sentence"]
    layout.write_csv(raw / f"{_LESIONS}.csv", pd.DataFrame(lesions, columns=columns))


def _visits(split: str, count: int, seed: int) -> list[tuple[str, str, str, int]]:
    """`count` volumes of a split: (split, patient, scan, number of the reconstruction)."""
    from simcrop.cohorts.synthetic.space import generator

    visits = []
    patient = 0
    while len(visits) < count:
        patient += 1
        name = f"{split}_{patient}"
        rng = generator(seed, f"{name}/visits")
        for scan in "ab"[: 1 + (rng.random() < 0.1)]:
            for number in range(1, 2 + (rng.random() < 0.15)):
                visits.append((split, name, f"{name}_{scan}", number))
    return visits[:count]


def _stored(
    drawn: "Case", rng: np.random.Generator
) -> "tuple[nibabel.Nifti1Image, nibabel.Nifti1Image]":
    """A case's volume and lesion mask, as one of the many ways of storing has them."""
    import nibabel

    way, codes = rng.random(), rng.choice(_ORIENTATIONS)
    if way < 0.1:
        arrays = (drawn.volume + np.int16(1024), drawn.lesion_mask)
        images = (layout.oriented(array, drawn.grid.affine, "LPS") for array in arrays)
        return tuple(nibabel.Nifti1Image(image.dataobj, np.eye(4)) for image in images)
    mask = layout.oriented(drawn.lesion_mask, drawn.grid.affine, codes)
    if way < 0.5:
        return layout.oriented(drawn.volume, drawn.grid.affine, codes), mask
    image = layout.oriented(drawn.volume + np.int16(1024), drawn.grid.affine, codes)
    image.header.set_slope_inter(1, -1024)
    return image, mask
