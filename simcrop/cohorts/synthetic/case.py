"""One case from its name and a seed: volume, structures, lesions and report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from simcrop import sections
from simcrop.cohorts.synthetic import anatomy, lesions, reports
from simcrop.cohorts.synthetic.space import Grid, generator
from simcrop.errors import InputError

# A finding and where it lies: (label, side, zone).
Site = tuple[str, str, str]
Plan = Callable[[np.random.Generator], Sequence[Site]]

_BILATERAL = 0.25
_CARDIOMEGALY = (1.28, 1.4)
_NOISE = 18


@dataclass(frozen=True)
class Lesion:
    """A lesion, and the sentence of the findings that tells of it.

    number: from 1; bit number - 1 of the lesion mask is set where it lies
    side: left, right or empty
    """

    number: int
    label: str
    side: str
    zone: str
    mm: int
    sentence: str


@dataclass(frozen=True)
class Case:
    """A scan and its report.

    volume: (X, Y, Z) int16 HU in RAS
    structures: (X, Y, Z) uint8, indices into anatomy.STRUCTURES
    lesion_mask: (X, Y, Z) int32, a bit a lesion
    """

    name: str
    grid: Grid
    volume: np.ndarray
    structures: np.ndarray
    lesion_mask: np.ndarray
    lesions: tuple[Lesion, ...]
    findings: str
    impression: str

    @property
    def labels(self) -> dict[str, int]:
        """Every finding, 1 where it is present."""
        present = {lesion.label for lesion in self.lesions}
        return {label: int(label in present) for label in lesions.LABELS}


def usual(odds: Mapping[str, float]) -> Plan:
    """Findings (label → probability), each drawn by itself, at places as different as can be.

    Raises:
        InputError: there is no such finding.
    """
    if unknown := sorted(odds.keys() - set(lesions.LABELS)):
        raise InputError(
            f"there is no finding '{unknown[0]}'; mend it under synthetic.findings: known are "
            f"{', '.join(lesions.LABELS)}"
        )

    def plan(rng: np.random.Generator) -> list[Site]:
        used: list[tuple[str, str]] = []
        sites = []
        for label, (_, places) in lesions.FINDINGS.items():
            present, second, order = rng.random(), rng.random(), rng.permutation(len(places))
            if present >= odds.get(label, 0):
                continue
            place = min((places[i] for i in order), key=used.count)
            chosen = [place]
            mirrored = ("left" if place[0] == "right" else "right", place[1])
            if second < _BILATERAL and mirrored in places:
                chosen.append(mirrored)
            used += chosen
            sites += [(label, *place) for place in chosen]
        return sites

    return plan


def draw(
    name: str,
    seed: int,
    settings: sections.Synthetic,
    grid: Grid,
    plan: Plan | None = None,
    patient: str | None = None,
    reconstruction: int = 1,
    enhanced: bool = False,
) -> Case:
    """Draw the case `name` on `grid`; its content depends on its arguments alone.

    plan: the findings; every one with settings.prevalence if not given
    patient: scans of one patient share their anatomy; the name itself if not given
    reconstruction: these differ in noise only
    enhanced: with contrast medium
    """
    labels = settings.findings or lesions.LABELS
    plan = plan or usual(dict.fromkeys(labels, settings.prevalence))
    sites = plan(generator(seed, f"{name}/plan"))
    enlarged = any(label == "Cardiomegaly" for label, *_ in sites)
    body = generator(seed, f"{patient or name}/anatomy")
    heart = body.uniform(*_CARDIOMEGALY)
    drawn = anatomy.build(grid, body, heart if enlarged else 1.0)
    volume = anatomy.hounsfield(drawn, generator(seed, f"{name}/density"), enhanced)
    mask, sizes = _draw_lesions(
        drawn, volume, sites, settings.lesion_size, generator(seed, f"{name}/lesions")
    )

    noise = generator(seed, f"{name}/noise/{reconstruction}")
    volume = ndimage.gaussian_filter(volume, 0.4, truncate=3)
    volume += _NOISE * noise.standard_normal(volume.shape, dtype=np.float32)
    words = generator(seed, f"{name}/report")
    found = tuple(
        Lesion(number, *site, mm, reports.sentence(words, *site, mm, settings.brief))
        for number, (site, mm) in enumerate(zip(sites, sizes, strict=True), 1)
    )
    positive: dict[str, list[str]] = {}
    for lesion in found:
        positive.setdefault(lesion.label, []).append(lesion.sentence)
    return Case(
        name=name,
        grid=grid,
        volume=np.rint(volume).clip(-1024, 3071).astype(np.int16),
        structures=drawn.structures,
        lesion_mask=mask,
        lesions=found,
        findings=reports.findings(words, positive, labels, settings.normal),
        impression=reports.impression(words, sites),
    )


def _draw_lesions(
    patient: anatomy.Anatomy,
    volume: np.ndarray,
    sites: Sequence[Site],
    size: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, list[int]]:
    """Paint the lesions into `volume`; returns the bit mask and the sizes in whole mm."""
    mask = np.zeros(volume.shape, np.int32)
    drawings = []
    for label, side, zone in sites:
        drawings.append(lesions.FINDINGS[label][0](patient, rng, side, zone, size))
    first = {label: rank for rank, label in enumerate(lesions.DRAWN_FIRST)}
    order = sorted(range(len(sites)), key=lambda i: first.get(sites[i][0], len(first)))
    for i in order:
        drawing, bit = drawings[i], np.int32(1 << i)
        for (box, inside), hu in drawing.strokes:
            structures = patient.structures[box]
            allowed = structures > 0
            if drawing.within:
                allowed = np.isin(structures, drawing.within)
            inside = inside & allowed
            if hu is not None:
                np.copyto(volume[box], hu, where=inside)
            mask[box][inside] |= bit
        if not (mask & bit).any():
            mask[patient.space.nearest(drawing.centre)] |= bit
    return mask, [round(drawing.size_mm * patient.scale) for drawing in drawings]
