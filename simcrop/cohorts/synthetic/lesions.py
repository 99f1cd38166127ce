"""How each of the 18 findings looks: solids and densities about a place in the mean body.

They are not anatomy: at 1.0 a lesion is 30 to 90 mm wide, so that it fills one patch or more of the
miniature's encoder (56 mm) and a small model can learn it. `size` is a factor on all of that.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from simcrop.cohorts.synthetic.anatomy import LUNGS, SIGN, STRUCTURES, Anatomy
from simcrop.cohorts.synthetic.space import Solid

# Where in a lung the centre of a finding lies: |x|, y, z.
LOBES = {"upper": (68, 2, 66), "middle": (84, 42, 12), "lower": (76, -38, -18)}
_LINGULA = (98, 34, 14)
_NODES = {
    ("right", "paratracheal"): (32, 0, 52),
    ("right", "hilar"): (54, -12, -4),
    ("left", "hilar"): (-54, -14, 12),
    ("left", "aortopulmonary"): (-34, 4, 44),
}
# Directions from the heart's centre to its surface.
_CORONARIES = {
    ("left", "anterior descending"): ((-0.1, 0.85, 0.5), (-0.6, 0.75, -0.3)),
    ("left", "circumflex"): ((-0.8, -0.2, 0.5), (-0.85, -0.5, -0.2)),
    ("right", "coronary"): ((0.7, 0.65, 0.3), (0.85, 0.3, -0.45)),
}


@dataclass
class Drawing:
    """Strokes of one lesion; `solids` lie in its mask, `size_mm` is what the report states.

    within: structures that the strokes are kept to; all but air outside the body if empty
    """

    centre: np.ndarray
    size_mm: float
    within: tuple[int, ...] = ()
    strokes: list[tuple[Solid, float | np.ndarray | None]] = field(default_factory=list)

    def add(self, solid: Solid, hu: float | np.ndarray | None) -> "Drawing":
        """Fill a solid with HU: a number, an array over its box, or None to leave what is there."""
        self.strokes.append((solid, hu))
        return self


Draw = Callable[[Anatomy, np.random.Generator, str, str, float], Drawing]


def _in_lung(rng: np.random.Generator, side: str, zone: str, diameter: float) -> Drawing:
    x, y, z = _LINGULA if (side, zone) == ("left", "middle") else LOBES[zone]
    centre = np.add((SIGN[side] * x, y, z), rng.uniform(-7, 7, 3))
    return Drawing(centre, diameter, (LUNGS[side],))


def medical_material(a, rng, side, zone, size) -> Drawing:
    centre = np.add((SIGN[side] * 76, 82, 58), rng.uniform(-5, 5, 3))
    radii = size * rng.uniform(0.85, 1.15) * np.array((28, 15, 26))
    drawing = Drawing(centre, 2 * radii[0])
    drawing.add(a.space.capsule(centre, a.heart[0] + (20, 10, 20), 5 * size), 1500)
    return drawing.add(a.space.ellipsoid(centre, radii, power=4), 2800)


def arterial_wall_calcification(a, rng, side, zone, size) -> Drawing:
    (start, end), radius = a.aorta[0][zone], a.aorta[1]
    if zone == "descending":
        start, end = start + 0.05 * (end - start), start + 0.05 * (end - start) - (0, 0, 60 * size)
    drawing = Drawing((start + end) / 2, np.linalg.norm(end - start))
    box, vessel = a.space.capsule(start, end, radius + 4)
    x, y, _ = a.space.within(box)
    turn = rng.uniform(0, 2 * np.pi)
    ahead = (x - drawing.centre[0]) * np.cos(turn) + (y - drawing.centre[1]) * np.sin(turn)
    return drawing.add((box, vessel & (ahead > -4)), 850)


def cardiomegaly(a, rng, side, zone, size) -> Drawing:
    centre, radii = a.heart
    heart = a.structures == STRUCTURES.index("heart")
    drawing = Drawing(centre, 2 * radii[0], (STRUCTURES.index("heart"),))
    return drawing.add(((slice(None),) * 3, heart), None)


def pericardial_effusion(a, rng, side, zone, size) -> Drawing:
    centre, radii = a.heart
    width = size * rng.uniform(16, 24)
    box, outer = a.space.ellipsoid(centre, radii + width)
    within = [*LUNGS.values(), STRUCTURES.index("fat")]
    return Drawing(centre, width, tuple(within)).add((box, outer), 6)


def coronary_artery_wall_calcification(a, rng, side, zone, size) -> Drawing:
    centre, radii = a.heart
    start, end = (centre + radii * way for way in _CORONARIES[side, zone])
    drawing = Drawing((start + end) / 2, np.linalg.norm(end - start))
    return drawing.add(a.space.capsule(start, end, size * rng.uniform(7, 9)), 950)


def hiatal_hernia(a, rng, side, zone, size) -> Drawing:
    centre = np.add((-4, -38, -34), rng.uniform(-4, 4, 3))
    radius = size * rng.uniform(28, 36)
    drawing = Drawing(centre, 2 * radius)
    drawing.add(a.space.ellipsoid(centre, (radius, radius * 0.8, radius)), 30)
    gas = np.add(centre, (0, radius * 0.25, radius * 0.2))
    return drawing.add(a.space.ellipsoid(gas, np.full(3, radius * 0.55)), -800)


def lymphadenopathy(a, rng, side, zone, size) -> Drawing:
    centre = np.add(_NODES[side, zone], rng.uniform(-3, 3, 3))
    radius = size * rng.uniform(16, 21)
    drawing = Drawing(centre, 2 * radius)
    for _ in range(3):
        node = centre + size * rng.uniform(-12, 12, 3)
        drawing.add(a.space.ellipsoid(node, np.full(3, radius * 0.75)), 60)
    return drawing.add(a.space.ellipsoid(centre, np.full(3, radius)), 65)


def emphysema(a, rng, side, zone, size) -> Drawing:
    radius = size * rng.uniform(36, 46)
    drawing = _in_lung(rng, side, zone, 2 * radius)
    for _ in range(4):
        bulla = drawing.centre + rng.uniform(-0.5, 0.5, 3) * radius
        drawing.add(a.space.ellipsoid(bulla, rng.uniform(0.55, 0.75, 3) * radius), -992)
    return drawing


def atelectasis(a, rng, side, zone, size) -> Drawing:
    radii = size * np.array((rng.uniform(38, 48), rng.uniform(30, 38), 12))
    drawing = _in_lung(rng, side, zone, 2 * radii[0])
    return drawing.add(a.space.ellipsoid(drawing.centre, radii, power=3), 25)


def lung_nodule(a, rng, side, zone, size) -> Drawing:
    radius = size * rng.uniform(18, 29)
    drawing = _in_lung(rng, side, zone, 2 * radius)
    return drawing.add(a.space.ellipsoid(drawing.centre, np.full(3, radius)), rng.uniform(20, 70))


def lung_opacity(a, rng, side, zone, size) -> Drawing:
    return _patch(a, rng, side, zone, size * rng.uniform(32, 44), rng.uniform(-620, -540))


def consolidation(a, rng, side, zone, size) -> Drawing:
    radius = size * rng.uniform(28, 40)
    drawing = _patch(a, rng, side, zone, radius, 40)
    for _ in range(2):
        way = rng.uniform(-1, 1, 3) * radius
        tube = a.space.capsule(drawing.centre - way, drawing.centre + way, 4 * size)
        drawing.add(tube, -700)
    return drawing


def _patch(a, rng, side, zone, radius, hu) -> Drawing:
    drawing = _in_lung(rng, side, zone, 2 * radius)
    for _ in range(3):
        part = drawing.centre + rng.uniform(-0.35, 0.35, 3) * radius
        drawing.add(a.space.ellipsoid(part, rng.uniform(0.7, 0.95, 3) * radius), hu)
    return drawing


def pulmonary_fibrotic_sequela(a, rng, side, zone, size) -> Drawing:
    length = size * rng.uniform(46, 62)
    drawing = _in_lung(rng, side, zone, length)
    drawing.centre += (0, 0, 10)
    for _ in range(4):
        way = np.array((SIGN[side], rng.uniform(-0.8, 0.8), rng.uniform(0, 0.9))) * length / 2
        middle = drawing.centre + rng.uniform(-22, 22, 3) * size
        drawing.add(a.space.capsule(middle - way, middle + way, 9 * size), -80)
    return drawing


def pleural_effusion(a, rng, side, zone, size) -> Drawing:
    depth = size * rng.uniform(34, 50)
    box = a.space.box((-160, -110, -160), (160, 60, 20 * size))
    _, y, z = a.space.within(box)
    fluid = y + 0.45 * (z + 60) < -84 + depth
    drawing = Drawing(np.array((SIGN[side] * 72, -66, -62)), depth, (LUNGS[side],))
    return drawing.add((box, np.broadcast_to(fluid, a.structures[box].shape)), 8)


def mosaic_attenuation_pattern(a, rng, side, zone, size) -> Drawing:
    radius = size * rng.uniform(48, 60)
    drawing = _in_lung(rng, side, zone, 2 * radius)
    box, inside = a.space.ellipsoid(drawing.centre, np.full(3, radius))
    x, y, z = (np.floor(axis / (22 * size)) for axis in a.space.within(box))
    return drawing.add((box, inside), np.where((x + y + z) % 2 > 0, -700, -950))


def peribronchial_thickening(a, rng, side, zone, size) -> Drawing:
    return _bronchi(a, rng, side, zone, size, wall=12, lumen=4, hu=0)


def bronchiectasis(a, rng, side, zone, size) -> Drawing:
    return _bronchi(a, rng, side, zone, size, wall=17, lumen=11, hu=-250)


def _bronchi(a, rng, side, zone, size, wall, lumen, hu) -> Drawing:
    length = size * rng.uniform(52, 66)
    drawing = _in_lung(rng, side, zone, length)
    offsets = rng.uniform(-1, 1, (3, 3)) * (8, 26, 18) * size
    tubes = []
    for offset in offsets:
        way = np.array((SIGN[side], rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3))) * length / 2
        tubes.append((drawing.centre + offset - way, drawing.centre + offset + way))
    for start, end in tubes:
        drawing.add(a.space.capsule(start, end, wall * size), hu)
    for start, end in tubes:
        drawing.add(a.space.capsule(start, end, lumen * size), -985)
    return drawing


def interlobular_septal_thickening(a, rng, side, zone, size) -> Drawing:
    radius = size * rng.uniform(40, 50)
    drawing = _in_lung(rng, side, zone, 2 * radius)
    box, inside = a.space.ellipsoid(drawing.centre, np.full(3, radius))
    x, y, z = a.space.within(box)
    mesh = (np.mod(x + 0.2 * z, 24 * size) < 8 * size) | (np.mod(y, 24 * size) < 8 * size)
    return drawing.add((box, inside), np.where(mesh, -420, -880))


_LUNG_SITES = [(side, zone) for side in SIGN for zone in LOBES]
_BASAL_SITES = [(side, zone) for side, zone in _LUNG_SITES if zone != "upper"]
_APICAL_SITES = [(side, "upper") for side in SIGN]
_SIDES = [(side, "") for side in SIGN]

# CT-RATE's labels in its order, with how each is drawn and the (side, zone) it may take.
FINDINGS: dict[str, tuple[Draw, list[tuple[str, str]]]] = {
    "Medical material": (medical_material, _SIDES),
    "Arterial wall calcification": (
        arterial_wall_calcification,
        [("", "ascending"), ("", "arch"), ("", "descending")],
    ),
    "Cardiomegaly": (cardiomegaly, [("", "")]),
    "Pericardial effusion": (pericardial_effusion, [("", "")]),
    "Coronary artery wall calcification": (
        coronary_artery_wall_calcification,
        list(_CORONARIES),
    ),
    "Hiatal hernia": (hiatal_hernia, [("", "")]),
    "Lymphadenopathy": (lymphadenopathy, list(_NODES)),
    "Emphysema": (emphysema, _APICAL_SITES),
    "Atelectasis": (atelectasis, _BASAL_SITES),
    "Lung nodule": (lung_nodule, _LUNG_SITES),
    "Lung opacity": (lung_opacity, _LUNG_SITES),
    "Pulmonary fibrotic sequela": (pulmonary_fibrotic_sequela, _APICAL_SITES),
    "Pleural effusion": (pleural_effusion, _SIDES),
    "Mosaic attenuation pattern": (mosaic_attenuation_pattern, _LUNG_SITES),
    "Peribronchial thickening": (peribronchial_thickening, _LUNG_SITES),
    "Consolidation": (consolidation, _LUNG_SITES),
    "Bronchiectasis": (bronchiectasis, _BASAL_SITES),
    "Interlobular septal thickening": (interlobular_septal_thickening, _LUNG_SITES),
}
LABELS = tuple(FINDINGS)
# What fills much of a lung is drawn first, so that it hides nothing small.
DRAWN_FIRST = (
    "Mosaic attenuation pattern",
    "Emphysema",
    "Interlobular septal thickening",
    "Lung opacity",
    "Pericardial effusion",
    "Pleural effusion",
    "Consolidation",
)
