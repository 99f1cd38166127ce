"""The audit of a cohort as one HTML page that needs nothing beside it."""

import base64
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from simcrop import files
from simcrop.formats import cases
from simcrop.formats.sentences import SECTIONS
from simcrop.formats.volumes import VolumeStore

_WINDOW = (-1000, 400)
_EDGE = 128
_MOST = 24
_ROWS = 2000
_TEXT_NOTES = {"no volume", *(f"no {section}" for section in SECTIONS)}
_SEEN = ("the same volume", "spacing")


def write(
    path: Path,
    cohort: str,
    table: pd.DataFrame,
    audit: pd.DataFrame,
    findings: pd.DataFrame,
    store: VolumeStore,
) -> None:
    """Write the page: findings, splits, labels, ranges, cases set aside, pictures of odd ones.

    Args:
        table, audit, findings: of the whole cohort; see `prepare.findings`.
        store: its volumes, of which up to 24 that have a note or stand in a fault are drawn.
    """
    import jinja2

    aside = audit.loc[audit["reason"] != "", ["case", "reason"]]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("simcrop.prepare", "."), autoescape=True, trim_blocks=True
    )
    text = environment.get_template("audit.html").render(
        cohort=cohort,
        counts=[(split or "none", *_counts(table, split)) for split in (*cases.SPLITS, "")],
        findings=findings.to_dict("records"),
        labels=_labels(table),
        splits=cases.SPLITS,
        ranges=_ranges(audit),
        aside=aside.head(_ROWS).to_dict("records"),
        left=max(0, len(aside) - _ROWS),
        pictures=[
            (case, note, _picture(store, case)) for case, note in _odd(audit, findings, store)
        ],
        window=_WINDOW,
    )
    files.write_text(path, text)


def _counts(table: pd.DataFrame, split: str) -> tuple[int, int, int, int]:
    part = table[table["split"] == split]
    volumes = part[part["path"] != ""]
    return len(part), len(volumes), volumes["scan"].nunique(), part["patient"].nunique()


def _labels(table: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """Positive, negative and unknown cases of each label, by split."""
    rows = []
    for name in cases.labels(table):
        values = table[cases.LABEL + name]
        row = []
        for split in cases.SPLITS:
            part = values[table["split"] == split]
            row.append(f"{(part == 1).sum()} / {(part == 0).sum()} / {part.isna().sum()}")
        rows.append((name, row))
    return rows


def _ranges(audit: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """Least, median and largest of what was measured of every volume."""
    rows = []
    for column, names in (
        ("raw_shape", ("stored voxels, axis 1", "axis 2", "axis 3")),
        ("raw_spacing", ("stored spacing (mm), axis 1", "axis 2", "axis 3")),
        ("shape", ("resampled voxels, x", "y", "z")),
        ("hu_min", ("lowest HU",)),
        ("hu_median", ("median HU",)),
        ("hu_max", ("highest HU",)),
    ):
        told = audit.loc[audit[column] != "", column]
        values = np.array([[float(part) for part in text.split()] for text in told])
        for axis, name in enumerate(names if len(values) else ()):
            numbers = values[:, axis]
            rows.append((name, *(f"{f(numbers):.4g}" for f in (np.min, np.median, np.max))))
    return rows


def _odd(
    audit: pd.DataFrame, findings: pd.DataFrame, store: VolumeStore
) -> Iterable[tuple[str, str]]:
    """Cases to look at, and why: those in faults first, then those whose volume is odd."""
    held = set(store.cases)
    odd: dict[str, str] = {}
    seen = findings["finding"].str.startswith(_SEEN)
    for part in (findings[findings["severity"] == "fault"], findings[seen]):
        for row in part.itertuples():
            for case in filter(None, row.examples.split("; ")):
                odd.setdefault(case, row.finding)
    for row in audit[audit["note"] != ""].itertuples():
        if not _TEXT_NOTES.issuperset(row.note.split("; ")):
            odd.setdefault(row.case, row.note)
    return [(case, why) for case, why in odd.items() if case in held][:_MOST]


def _picture(store: VolumeStore, case: str) -> str:
    """The three middle slices side by side, as a PNG in base64."""
    from PIL import Image

    volume = store.read(case)
    spacing = np.linalg.norm(store.affine(case)[:3, :3], axis=0)
    low, high = _WINDOW
    panels = []
    for axis in (2, 1, 0):
        rest = [other for other in range(3) if other != axis]
        plane = volume.take(volume.shape[axis] // 2, axis=axis)
        grey = ((plane.astype(np.float32) - low) / (high - low) * 255).clip(0, 255)
        extent = [volume.shape[other] * spacing[other] for other in rest]
        size = [max(1, round(_EDGE * mm / max(extent))) for mm in extent]
        # Rows run down the picture, and y or z up.
        picture = Image.fromarray(grey.astype(np.uint8).T[::-1]).resize(size)
        panel = Image.new("L", (_EDGE, _EDGE))
        panel.paste(picture, tuple((_EDGE - edge) // 2 for edge in size))
        panels.append(np.asarray(panel))
    out = io.BytesIO()
    Image.fromarray(np.hstack(panels)).save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()
