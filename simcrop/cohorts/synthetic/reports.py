"""Findings and impressions out of phrases: one sentence a lesion, and some of what is absent."""

from collections.abc import Mapping, Sequence

import numpy as np

from simcrop.cohorts.synthetic import phrases
from simcrop.cohorts.synthetic.lesions import LABELS

# The share of absent findings that a report mentions.
_MENTIONED = 0.45
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


def sentence(rng: np.random.Generator, label: str, side: str, zone: str, mm: int) -> str:
    """What the findings say of one lesion."""
    return _filled(rng, phrases.POSITIVE[label], side, zone, mm)


def findings(rng: np.random.Generator, positive: Mapping[str, Sequence[str]]) -> str:
    """The section, from the sentences of each label that is present; the others may be negated."""
    parts = [_one(rng, phrases.AIRWAYS)]
    for labels in (_HEART, _LUNGS):
        if labels is _LUNGS:
            parts.append(_one(rng, phrases.LUNGS))
        for label in labels:
            mentioned, negative = rng.random() < _MENTIONED, _one(rng, phrases.NEGATIVE[label])
            parts += positive.get(label) or ([negative] if mentioned else [])
    parts += [phrases.REST[i] for i in sorted(rng.permutation(len(phrases.REST))[:2])]
    return " ".join(parts)


def impression(rng: np.random.Generator, lesions: Sequence[tuple[str, str, str]]) -> str:
    """The section, from the (label, side, zone) of the lesions."""
    if not lesions:
        return _one(rng, phrases.NORMAL)
    return " ".join(_filled(rng, phrases.SUMMARY[label], *place) for label, *place in lesions)


def _filled(
    rng: np.random.Generator, ways: Sequence[str], side: str, zone: str, mm: int = 0
) -> str:
    where = phrases.PLACES.get(zone) or _one(rng, phrases.LOBES.get((side, zone), ("",)))
    text = _one(rng, ways).format(where=where.format(side=side), side=side, mm=mm)
    return text[0].upper() + text[1:]


def _one(rng: np.random.Generator, ways: Sequence[str]) -> str:
    return ways[rng.integers(len(ways))]
