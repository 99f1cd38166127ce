"""A mean chest and upper abdomen out of ellipsoids and tubes, varied from patient to patient.

Coordinates are RAS millimetres about the carina: x to the patient's right, y to the front, z up.
Small organs are drawn larger than life, so that each holds some voxels at 7 x 7 x 14 mm.
"""

from dataclasses import dataclass

import numpy as np

from simcrop.cohorts.synthetic.space import Grid, Solid, Space

# Every structure with its HU, without and with contrast medium.
_HU = {
    "air": (-1000, -1000),
    "fat": (-100, -100),
    "muscle": (50, 60),
    "bone": (420, 420),
    "spine": (210, 220),
    "spinal canal": (25, 30),
    "left lung": (-888, -878),
    "right lung": (-888, -878),
    "trachea": (-990, -990),
    "heart": (48, 150),
    "pulmonary artery": (45, 150),
    "vena cava superior": (42, 150),
    "spleen": (50, 125),
    "right kidney": (34, 190),
    "left kidney": (34, 190),
    "gallbladder": (8, 8),
    "oesophagus": (38, 50),
    "liver": (60, 110),
    "stomach": (25, 30),
    "aorta": (44, 165),
    "inferior vena cava": (42, 140),
    "portal and splenic veins": (44, 175),
    "pancreas": (42, 95),
    "right adrenal": (30, 75),
    "left adrenal": (30, 75),
}
STRUCTURES = tuple(_HU)
LUNGS = {"left": STRUCTURES.index("left lung"), "right": STRUCTURES.index("right lung")}
SIGN = {"left": -1, "right": 1}


@dataclass(frozen=True)
class Anatomy:
    """One patient.

    space: the voxels in the mean body's coordinates
    scale: real mm for a mm of the mean body
    structures: (X, Y, Z) uint8, indices into STRUCTURES
    heart: its centre and radii
    aorta: the ends of its ascending part, arch and descending part, and its radius
    """

    space: Space
    scale: float
    structures: np.ndarray
    heart: tuple[np.ndarray, np.ndarray]
    aorta: tuple[dict[str, tuple[np.ndarray, np.ndarray]], float]


def build(grid: Grid, rng: np.random.Generator, heart: float = 1.0) -> Anatomy:
    """Draw the patient of `rng` on `grid`; `heart` scales the heart."""
    scale = rng.uniform(0.95, 1.05) * rng.uniform(0.98, 1.02, 3)
    shift = rng.uniform(-5, 5, 3)
    axes = [
        ((a - d) / s).astype(np.float32) for a, d, s in zip(grid.axes, shift, scale, strict=True)
    ]
    space = Space(axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :])
    structures = np.zeros(space.shape, np.uint8)

    def put(name: str, solid: Solid, only: np.ndarray | None = None) -> None:
        box, inside = solid
        if only is not None:
            inside = inside & only[box]
        structures[box][inside] = STRUCTURES.index(name)

    def about(*point: float, by: float = 3.0) -> np.ndarray:
        return np.add(point, rng.uniform(-by, by, 3))

    def size(*radii: float) -> np.ndarray:
        return np.multiply(radii, rng.uniform(0.93, 1.07, 3))

    _trunk(space, rng, structures)
    chest = structures == LUNGS["left"]
    chest |= structures == LUNGS["right"]
    cavity = chest | (structures == STRUCTURES.index("fat"))

    put("liver", space.ellipsoid(about(62, 6, -112), size(70, 72, 56)), cavity & ~chest)
    put("liver", space.ellipsoid(about(8, 42, -108), size(48, 30, 32)), cavity & ~chest)
    put("stomach", space.ellipsoid(about(-56, 32, -112), size(44, 40, 46)), cavity & ~chest)
    put("spleen", space.ellipsoid(about(-92, -34, -112), size(28, 40, 44)), cavity & ~chest)
    put("right kidney", space.ellipsoid(about(58, -44, -188), size(27, 26, 50)))
    put("left kidney", space.ellipsoid(about(-58, -44, -180), size(27, 26, 50)))
    put("pancreas", space.capsule(about(38, 22, -170), about(-8, 14, -158), 17))
    put("pancreas", space.capsule(about(-8, 14, -158), about(-62, -8, -148), 15))
    put("gallbladder", space.ellipsoid(about(48, 52, -160), size(19, 20, 27)))
    put("portal and splenic veins", space.capsule(about(16, -2, -152), about(40, 2, -122), 11))
    put("portal and splenic veins", space.capsule(about(16, -2, -152), about(-62, -30, -132), 9))
    put("inferior vena cava", space.capsule(about(24, -32, -310), about(26, -12, -66), 13))

    centre, radii = about(-20, 22, -20), size(54, 45, 44) * heart
    put("fat", space.ellipsoid(centre, radii + 7), chest)
    put("heart", space.ellipsoid(centre, radii))
    put("pulmonary artery", space.capsule(about(-16, 20, 12), about(-20, -4, 30), 14))
    for side, sign in SIGN.items():
        hilum = about(sign * 46, -10, 8 if side == "right" else 14)
        put("pulmonary artery", space.capsule((-16, 2, 24), hilum, 10))
    put("vena cava superior", space.capsule(about(30, 14, 5), about(26, 18, 110), 10))

    radius = rng.uniform(13.5, 16)
    root, top = about(8, 18, 5), about(8, 14, 56)
    turn, exit_ = about(-20, -38, 58), about(-10, -44, -320)
    aorta = {"ascending": (root, top), "arch": (top, turn), "descending": (turn, exit_)}
    for ends in aorta.values():
        put("aorta", space.capsule(*ends, radius))
    put("oesophagus", space.capsule(about(-2, -34, 190), about(-8, -24, -62), 10))
    put("oesophagus", space.capsule(about(-8, -24, -62), about(-32, 10, -90), 10))
    put("spine", space.capsule((0, -70, -400), (0, -70, 300), rng.uniform(17, 20)))
    put("spinal canal", space.capsule((0, -93, -400), (0, -93, 300), 8))
    carina = about(0, -10, 32)
    put("trachea", space.capsule(carina, about(0, -12, 200), rng.uniform(11, 13)))
    for sign in SIGN.values():
        put("trachea", space.capsule(carina, about(sign * 40, -16, 2), 9))
    put("right adrenal", space.ellipsoid(about(34, -40, -126), size(11, 13, 22)))
    put("left adrenal", space.ellipsoid(about(-38, -34, -122), size(11, 13, 22)))
    return Anatomy(space, float(scale.mean()), structures, (centre, radii), (aorta, radius))


def hounsfield(anatomy: Anatomy, rng: np.random.Generator, enhanced: bool) -> np.ndarray:
    """The healthy patient in HU, (X, Y, Z) float32, without noise; `enhanced`: contrast medium."""
    space, structures = anatomy.space, anatomy.structures
    table = np.array([pair[enhanced] for pair in _HU.values()], np.float32)
    table[1:] += rng.normal(0, 3, len(table) - 1)
    table[list(LUNGS.values())] += rng.normal(0, 8)
    volume = table[structures]
    volume += smooth(space, rng, 70) * 4
    lungs = (structures == LUNGS["left"]) | (structures == LUNGS["right"])
    # Lungs are denser below, where a patient on the back has the back.
    volume += np.where(lungs, smooth(space, rng, 45) * 10 - 0.15 * space.y, 0)
    for sign in SIGN.values():
        hilum = (sign * 44, -10, 5)
        for _ in range(5):
            way = np.array((sign * rng.uniform(20, 75), rng.uniform(-50, 60), rng.uniform(-70, 85)))
            box, inside = space.capsule(hilum, hilum + way, rng.uniform(4, 6))
            volume[box][inside & lungs[box]] = rng.uniform(-350, -150)
    box, inside = space.ellipsoid((-56, 52, -100), (30, 16, 26))
    volume[box][inside & (structures[box] == STRUCTURES.index("stomach"))] = -850
    return volume


def smooth(space: Space, rng: np.random.Generator, length: float) -> np.ndarray:
    """A smooth random field of about unit variance over `length` mm, the same on every grid."""
    field = rng.standard_normal((12, 12, 18), dtype=np.float32)
    for axis in (space.x, space.y, space.z):
        # Each turn interpolates the first axis linearly and moves it to the end.
        knots = field.shape[0]
        at = np.clip(axis.ravel() / length + knots / 2, 0, knots - 1.001)
        weights = np.clip(1 - np.abs(at[:, None] - np.arange(knots, dtype=np.float32)), 0, None)
        field = np.moveaxis(np.tensordot(weights, field, 1), 0, -1)
    return field * np.float32(1.8)


def _trunk(space: Space, rng: np.random.Generator, structures: np.ndarray) -> None:
    """Fat, muscle, ribs, sternum and lungs into `structures`."""
    x, y, z = space.x, space.y, space.z
    # Distance from the axis of the trunk: 1 at the skin.
    out = (np.abs(x) / 152) ** 2.5 + (np.abs(y) / 102) ** 2.5
    shoulders = 1 - 0.4 * np.clip((z - 90) / 80, 0, 1) ** 2
    fat = rng.uniform(0.74, 0.86)
    muscle = fat - rng.uniform(0.17, 0.2)
    structures[out < shoulders] = STRUCTURES.index("fat")
    structures[out < fat * shoulders] = STRUCTURES.index("muscle")
    structures[out < muscle * shoulders] = STRUCTURES.index("fat")

    ring = (out < (fat - 0.02)) & (out > muscle) & (np.abs(x) + np.abs(y) > 40)
    ribs = np.mod(z + 0.4 * y + rng.uniform(0, 30), 30) < 11
    structures[ring & ribs & (z > -150) & (z < 105)] = STRUCTURES.index("bone")
    box, inside = space.ellipsoid((0, 84, 30), (18, 9, 75), power=4)
    structures[box][inside] = STRUCTURES.index("bone")

    apex = 1 - np.clip((z - 20) / rng.uniform(112, 122), 0, 1) ** 2.2
    middle = 14 + 8 * (y / 60) ** 2
    for side, sign in SIGN.items():
        top = rng.uniform(-60, -52) if side == "right" else rng.uniform(-68, -60)
        dome = top - 58 * ((sign * x - 66) / 58) ** 2 - 72 * ((y - 5) / 80) ** 2
        lung = (out < muscle * apex) & (sign * x > middle) & (z > dome)
        structures[lung] = LUNGS[side]
