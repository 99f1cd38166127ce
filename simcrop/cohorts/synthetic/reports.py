"""Findings and impressions out of phrases: one sentence a lesion, and some of what is absent."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from simcrop.cohorts.synthetic import phrases
from simcrop.cohorts.synthetic.lesions import LABELS

_HEART = (
    "Cardiomegaly",
    "Pericardial effusion",
    "Arterial wall calcification",
    "Coronary artery wall calcification",
    "Hiatal hernia",
    "Lymphadenopathy",
    "Medical material",
)
_LUNGS = tuple(label for label in LABELS if label not in _HEART)


def sentence(
    rng: np.random.Generator, label: str, side: str, zone: str, mm: int, brief: bool
) -> str:
    """What the findings say of one lesion; `brief`: the same of all that have label and place."""
    if brief:
        where = _place(side, zone, phrases.LOBES.get((side, zone), ("",))[0])
        return _capital(phrases.SUMMARY[label][0].format(where=where, side=side))
    return _filled(rng, phrases.POSITIVE[label], side, zone, mm)


def findings(
    rng: np.random.Generator,
    positive: Mapping[str, Sequence[str]],
    labels: Collection[str],
    normal: float,
) -> str:
    """The section: the sentences of each label that is present, and something of what is normal.

    Args:
        positive: label → its sentences.
        labels: those that may be negated where they are absent.
        normal: the probability of each sentence that tells of nothing.
    """

    def told(ways: Sequence[str]) -> list[str]:
        chance, way = rng.random(), _one(rng, ways)
        return [way] if chance < normal else []

    parts = told(phrases.AIRWAYS)
    for group in (_HEART, _LUNGS):
        if group is _LUNGS:
            parts += told(phrases.LUNGS)
        for label in group:
            negative = told(phrases.NEGATIVE[label])
            parts += positive.get(label) or (negative if label in labels else [])
    parts += told(phrases.REST)
    return " ".join(parts or [_one(rng, phrases.NORMAL)])


def impression(rng: np.random.Generator, lesions: Sequence[tuple[str, str, str]]) -> str:
    """The section, from the (label, side, zone) of the lesions."""
    if not lesions:
        return _one(rng, phrases.NORMAL)
    return " ".join(_filled(rng, phrases.SUMMARY[label], *place) for label, *place in lesions)


def _filled(
    rng: np.random.Generator, ways: Sequence[str], side: str, zone: str, mm: int = 0
) -> str:
    where = _place(side, zone, _one(rng, phrases.LOBES.get((side, zone), ("",))))
    return _capital(_one(rng, ways).format(where=where, side=side, mm=mm))


def _place(side: str, zone: str, lobe: str) -> str:
    return phrases.PLACES.get(zone, lobe).format(side=side)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _one(rng: np.random.Generator, ways: Sequence[str]) -> str:
    return ways[rng.integers(len(ways))]
