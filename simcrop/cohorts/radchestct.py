"""RAD-ChestCT: 3,630 public chest CTs with 84 abnormalities (Draelos et al., MedIA 2021).

Source: Zenodo, DOI 10.5281/zenodo.6406114; the licence stands on the record.

Raw layout:
    trn01234.npz, val…, tst…                               key `ct`, int16, HU clipped at ±1000
    img{train,valid,test}_Abnormality_and_Location_Labels.csv
    CT_Scan_Metadata_Complete_35747.csv                    (optional; NoteAcc_DEID → MRN_DEID)
Arrays are [slice, row, column] at 0.8 mm along each axis, without an affine: the first slice is
the topmost, rows run to the back and columns to the patient's left.

Labels: the columns are named abnormality*location; an abnormality is present if it is at any
location. 16 classes are made of the 84 abnormalities by the table LABELS below. The mapping behind
the published results is not documented, so this one is ours: one abnormality of the same meaning
for each class, but for nodules of any size and for whatever is man-made. 'Lung opacity' is
`opacity` alone, since its published share of 54 % leaves no room for `groundglass`.

Splits: the dataset's own, by file name. Without the metadata file each scan is its own patient.

Known faults: in the official lists 'Pericardial effusion' and 'Pleural effusion' are equal in every
row. Here each comes from its own abnormality.

The synthetic cohort states its spacing in synthetic/spacing.csv.
"""

from collections.abc import Iterable
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
    from simcrop.cohorts.synthetic.case import Lesion

HOST = remote.Host("zenodo", ("6406114",), volumes=("*.npz",))

# class → the abnormalities of which any makes it present
LABELS = {
    "Medical material": (
        "catheter_or_port",
        "chest_tube",
        "clip",
        "gi_tube",
        "hardware",
        "heart_valve_replacement",
        "pacemaker_or_defib",
        "staple",
        "stent",
        "suture",
        "tracheal_tube",
    ),
    "Calcification": ("calcification",),
    "Cardiomegaly": ("cardiomegaly",),
    "Pericardial effusion": ("pericardial_effusion",),
    "Hiatal hernia": ("hernia",),
    "Lymphadenopathy": ("lymphadenopathy",),
    "Emphysema": ("emphysema",),
    "Atelectasis": ("atelectasis",),
    "Lung nodule": ("nodule", "nodulegr1cm"),
    "Lung opacity": ("opacity",),
    "Pulmonary fibrotic sequela": ("fibrosis",),
    "Pleural effusion": ("pleural_effusion",),
    "Peribronchial thickening": ("bronchial_wall_thickening",),
    "Consolidation": ("consolidation",),
    "Bronchiectasis": ("bronchiectasis",),
    "Interlobular septal thickening": ("septal_thickening",),
}
ORIENTATION = "IPL"
_SPACING = "0.8 0.8 0.8"
_KEY = "NoteAcc_DEID"
_PATIENTS = "CT_Scan_Metadata_Complete_35747.csv"
# The name of a split in file names, in the names of the CSVs, and ours.
_SPLITS = (("trn", "train", "train"), ("val", "valid", "val"), ("tst", "test", "test"))


def index(raw: Path, cohort: str) -> pd.DataFrame:
    """The case table of all scans in the label files.

    Raises:
        InputError: a label file is missing, or an abnormality has no column in it.
    """
    spacings = layout.read_spacings(raw)
    patients = {}
    if (raw / _PATIENTS).exists():
        patients = layout.read_csv(raw / _PATIENTS, _KEY, ["MRN_DEID"])["MRN_DEID"].to_dict()
    rows = []
    for _, name, split in _SPLITS:
        path = _label_file(raw, name)
        table = layout.read_csv(path, _KEY)
        table = layout.labels(path, table[[c for c in table.columns if "*" in c]])
        classes = _classes(path, table)
        for case in table.index:
            rows.append(
                {
                    "case": case,
                    "patient": patients.get(case, case),
                    "scan": case,
                    "split": split,
                    "path": f"{case}.npz",
                    "spacing": spacings.get(case, _SPACING),
                    "orientation": ORIENTATION,
                    **classes.loc[case],
                }
            )
    return layout.case_table(raw, cohort, rows)


def _label_file(raw: Path, name: str) -> Path:
    return raw / f"img{name}_Abnormality_and_Location_Labels.csv"


def _classes(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The 16 classes out of columns abnormality*location."""
    classes = {}
    for label, abnormalities in LABELS.items():
        columns = []
        for abnormality in abnormalities:
            found = [c for c in table.columns if c.startswith(f"{abnormality}*")]
            if not found:
                raise InputError(
                    f"{path}: no column '{abnormality}*<location>', of which '{label}' is made; "
                    "fetch the file again"
                )
            columns += found
        classes[cases.LABEL + label] = table[columns].max(axis=1)
    return pd.DataFrame(classes)


def make(raw: Path, settings: sections.Synthetic, seed: int) -> None:
    """Write a synthetic cohort: two thirds to train, a tenth to validate, the rest to test."""
    from simcrop.cohorts.synthetic import case, space

    train, val = round(0.66 * settings.cases), round(0.1 * settings.cases)
    counts = {"trn": train, "val": val, "tst": settings.cases - train - val}
    names = [f"{prefix}{i + 1:05d}" for prefix, count in counts.items() for i in range(count)]
    tables: dict[str, list[dict[str, object]]] = {}
    spacings = {}
    raw.mkdir(parents=True, exist_ok=True)
    shape = tuple(round(340 / mm) for mm in settings.spacing)
    for name in progress(names, "radchestct"):
        shift = space.generator(seed, f"{name}/storage").uniform(-5, 5, 3)
        grid = space.Grid(settings.spacing, shape, tuple(shift))
        drawn = case.draw(name, seed, settings, grid)
        stored = layout.oriented(drawn.volume, grid.affine, ORIENTATION)
        array = np.ascontiguousarray(stored.dataobj).clip(-1000, 1000)
        np.savez_compressed(raw / f"{name}.npz", ct=array)
        spacings[name] = [float(mm) for mm in stored.header.get_zooms()]
        row = {_KEY: name, **_locations(drawn.lesions)}
        tables.setdefault(name[:3], []).append(row)
    for prefix, file, _ in _SPLITS:
        layout.write_csv(_label_file(raw, file), pd.DataFrame(tables[prefix]))
    layout.write_spacings(raw, spacings)


def _locations(lesions: "Iterable[Lesion]") -> dict[str, int]:
    """Columns abnormality*location, two locations each; what has no side is at the second."""
    row = {}
    present = {(_class(lesion.label), lesion.side) for lesion in lesions}
    for label, abnormalities in LABELS.items():
        for rank, abnormality in enumerate(abnormalities):
            first = rank == 0
            row[f"{abnormality}*left"] = int(first and (label, "left") in present)
            other = (label, "right") in present or (label, "") in present
            row[f"{abnormality}*other_location"] = int(first and other)
    return row


def _class(label: str) -> str:
    return "Calcification" if "calcification" in label else label
