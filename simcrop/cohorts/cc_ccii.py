"""CC-CCII: 4,178 chest CTs of 2,742 patients in three classes (Zhang et al., Cell 2020).

Source: Kaggle fakaframe082/cc-ccii, behind a login.

Raw layout: <class>/<patient>/<scan>/0000.png …, one 8-bit picture (PNG, JPEG) a slice; the classes
are Normal, CP (common pneumonia) and NCP (novel corona pneumonia). Scans are numbered across all
classes.

Labels: the class, one column each. Splits: none of its own. In the official lists of the paper 453
patients stand in both training and test, so they are not used here.

Known faults, and what is done here (all unsure: the dataset states none of it):
- Pictures are greys, not HU. They are taken as the usual lung window, WINDOW, from black to white.
- No spacing is stated. A scan is taken to cover FIELD mm, so that spacing follows from its matrix.
- The first slice is taken as the topmost, rows as running to the back, columns to the left.

The synthetic cohort states its spacing in synthetic/spacing.csv.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from simcrop import remote, sections
from simcrop.cohorts import layout
from simcrop.errors import InputError
from simcrop.formats import cases, pictures
from simcrop.progress import progress

HOST = remote.Host(
    "kaggle",
    ("fakaframe082/cc-ccii",),
    access="make a token at https://www.kaggle.com/settings",
)
CLASSES = ("Normal", "CP", "NCP")
WINDOW = (-1350, 150)
FIELD = (300, 340, 340)
ORIENTATION = "IPL"
_SIDES = ("left", "right")
_ZONES = ("upper", "middle", "lower")
_SLOPE = (WINDOW[1] - WINDOW[0]) / 255


def index(raw: Path, cohort: str) -> pd.DataFrame:
    """The case table of all scan folders.

    Raises:
        InputError: a class has no folder, or two scans have one name.
    """
    spacings = layout.read_spacings(raw)
    rows = []
    for name in CLASSES:
        if not (raw / name).is_dir():
            raise InputError(
                f"{raw / name}: no such folder; acquire.cc-ccii.folder is the folder that holds "
                f"{', '.join(CLASSES)}"
            )
        for folder in sorted(path for path in (raw / name).glob("*/*") if path.is_dir()):
            rows.append(
                {
                    "case": folder.name,
                    "patient": folder.parent.name,
                    "scan": folder.name,
                    "path": folder.relative_to(raw).as_posix(),
                    "spacing": spacings.get(folder.name) or _assumed_spacing(folder),
                    "orientation": ORIENTATION,
                    "slope": f"{_SLOPE:.6g}",
                    "intercept": str(WINDOW[0]),
                    **{cases.LABEL + other: float(other == name) for other in CLASSES},
                }
            )
    return layout.case_table(raw, cohort, rows)


def _assumed_spacing(folder: Path) -> str:
    """FIELD over the matrix, "" where there is no slice to read it from."""
    from PIL import Image, UnidentifiedImageError

    slices = pictures.slices(folder)
    try:
        with Image.open(slices[0]) as first:
            columns, rows = first.size
    except (IndexError, OSError, UnidentifiedImageError):
        return ""
    return " ".join(
        f"{mm / n:.4g}" for mm, n in zip(FIELD, (len(slices), rows, columns), strict=True)
    )


def make(raw: Path, settings: sections.Synthetic, seed: int) -> None:
    """Write a synthetic cohort, a third of the patients in each class; some have two scans.

    Normal lungs are clear; CP is one-sided, a consolidation and perhaps an effusion; NCP is
    two-sided, with opacities in several lobes.
    """
    from PIL import Image

    from simcrop.cohorts.synthetic import case, space

    spacings = {}
    for name, patient, scan in progress(_visits(settings.cases, seed), "cc-ccii"):
        rng = space.generator(seed, f"{scan}/storage")
        grid = space.field_like(rng, settings.spacing)
        plan = {"Normal": _normal, "CP": _common, "NCP": _novel}[name]
        drawn = case.draw(scan, seed, settings, grid, plan=plan, patient=patient)
        stored = layout.oriented(drawn.volume, grid.affine, ORIENTATION)
        greys = (np.asarray(stored.dataobj, np.float32) - WINDOW[0]) / _SLOPE
        folder = raw / name / patient / scan
        folder.mkdir(parents=True)
        for number, picture in enumerate(np.rint(greys).clip(0, 255).astype(np.uint8)):
            Image.fromarray(picture).save(folder / f"{number:04d}.png")
        spacings[scan] = [float(mm) for mm in stored.header.get_zooms()]
    layout.write_spacings(raw, spacings)


def _visits(count: int, seed: int) -> list[tuple[str, str, str]]:
    """`count` scans: (class, patient, scan)."""
    from simcrop.cohorts.synthetic.space import generator

    visits = []
    patient = 0
    while len(visits) < count:
        patient += 1
        rng = generator(seed, f"{patient}/visits")
        for scan in range(1 + (rng.random() < 0.25)):
            visits.append((CLASSES[patient % 3], str(patient), str(1000 * (scan + 1) + patient)))
    return visits[:count]


def _normal(rng: np.random.Generator) -> list[tuple[str, str, str]]:
    return []


def _common(rng: np.random.Generator) -> list[tuple[str, str, str]]:
    side, zone = _one(rng, _SIDES), _one(rng, _ZONES)
    effusion = [("Pleural effusion", side, "")] if rng.random() < 0.4 else []
    return [("Consolidation", side, zone), *effusion]


def _novel(rng: np.random.Generator) -> list[tuple[str, str, str]]:
    zone, further = (_ZONES[i] for i in rng.permutation(3)[:2])
    sites = [*((side, zone) for side in _SIDES), (_one(rng, _SIDES), further)]
    return [("Lung opacity", *site) for site in sites]


def _one(rng: np.random.Generator, ways: tuple[str, ...]) -> str:
    return ways[rng.integers(len(ways))]
