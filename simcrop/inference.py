"""A trained encoder on one's own scans, from raw files on.

from simcrop.inference import Encoder
encoder = Encoder("weights.safetensors")
vector = encoder.embed("ct.nii.gz")
found = encoder.locate("ct.nii.gz", "A nodule in the left upper lobe.")
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from simcrop import files, hub
from simcrop.benchmark.encoder import device, load_encoder
from simcrop.benchmark.picture import draw
from simcrop.benchmark.similarity import Matcher
from simcrop.errors import InputError
from simcrop.formats import cases, weights
from simcrop.models.inputs import offset, to_input
from simcrop.prepare.readers import Volume, read
from simcrop.prepare.resample import resample

DRAWN = (1.5, 1.5, 1.5)  # mm between the voxels of a picture


@dataclass(frozen=True)
class Located:
    """Where a sentence was found in a scan.

    sentence: as it was asked for
    heat: (I, J, K) float32, cosines interpolated on the scan's own grid; NaN where the encoder
        does not look
    affine: (4, 4), voxel of the scan → RAS mm
    best: the patches inside the scan by falling cosine, as (x, y, z) RAS mm of the centre, cosine
    scan: as it was read
    cosines, patch_affine: (GX, GY, GZ) on the patches, and (4, 4), patch → RAS mm
    """

    sentence: str
    heat: np.ndarray
    affine: np.ndarray
    best: list[tuple[tuple[float, float, float], float]]
    scan: Volume
    cosines: np.ndarray
    patch_affine: np.ndarray

    def save(self, nifti: str | Path, picture: str | Path) -> None:
        """Write the heat map, on the scan's own grid, and three planes through its best patch."""
        with files.whole(nifti) as temporary:
            nib.save(nib.Nifti1Image(self.heat, self.affine), temporary)
        drawn = resample(self.scan, DRAWN)
        with files.whole(picture) as temporary:
            draw(
                temporary,
                Path(nifti).name.split(".")[0],
                (drawn.array, drawn.affine),
                (self.cosines[None], self.patch_affine),
                [self.sentence],
            )


class Encoder:
    """Weights of this suite, frozen.

    Args:
        path: weights.safetensors.
        text_encoder: folder or hub id of the text encoder that they were trained with, for
            `locate`; by default where it lay then.

    Raises:
        InputError: the file is none, or was made without the spacing of its volumes.
    """

    def __init__(self, path: str | Path, text_encoder: str | Path | None = None) -> None:
        self._path = path
        _, settings = weights.load(path)
        if not settings.get("spacing"):
            raise InputError(
                f"{path}: does not say at which spacing it was trained; train it with this version"
            )
        self._text = text_encoder or settings["text_encoder"]
        self.spacing: tuple[float, float, float] = tuple(settings["spacing"])

    @classmethod
    def from_pretrained(cls, repository: str | Path, revision: str | None = None) -> "Encoder":
        """What `simcrop push` has sent: by its name on the Hugging Face hub, or a folder like it.

        Raises:
            InputError: it cannot be reached, or holds no weights.
        """
        folder = hub.fetch(repository, revision)
        text_encoder = folder / hub.TEXT_ENCODER
        return cls(folder / hub.MODEL, text_encoder if text_encoder.is_dir() else None)

    def embed(self, scan: str | Path) -> np.ndarray:
        """The mean patch token of the middle of a scan: (width,) float32.

        Args:
            scan: .nii, .nii.gz, .mhd, .mha or .nrrd, in HU.

        Raises:
            InputError: it cannot be read, or its header does not state its geometry.
        """
        hu = resample(_read(scan), self.spacing).array
        encoder, shape = self._encoder
        with torch.inference_mode():
            volume = to_input(hu, shape)[None].to(device())
            return encoder.features(volume)[0].cpu().numpy()

    def locate(self, scan: str | Path, sentence: str) -> Located:
        """How much each place of a scan looks like what a sentence says.

        Raises:
            InputError: the scan cannot be read, the weights were trained without sentence
                alignment, or their text encoder is not found.
        """
        volume, matcher = _read(scan), self._matcher
        resampled = resample(volume, self.spacing)
        cosines = matcher.maps(matcher.tokens(resampled.array), [sentence])[0]
        patch_affine = matcher.affine(resampled.affine, resampled.array.shape)
        seen = resampled.affine.copy()
        start = np.array(offset(resampled.array.shape, matcher.shape))
        seen[:3, 3] += seen[:3, :3] @ start
        return Located(
            sentence=sentence,
            heat=_on_scan(cosines, matcher.shape, seen, volume),
            affine=volume.affine,
            best=_best(cosines, patch_affine, volume),
            scan=volume,
            cosines=cosines,
            patch_affine=patch_affine,
        )

    @cached_property
    def _encoder(self) -> tuple[torch.nn.Module, tuple[int, int, int]]:
        encoder, arguments = load_encoder(self._path)
        return encoder, tuple(arguments["volume"])

    @cached_property
    def _matcher(self) -> Matcher:
        if not self._text:
            raise InputError(
                f"{self._path}: trained without reports; use a method with sentence_alignment"
            )
        return Matcher(self._path, self._text)


def _read(scan: str | Path) -> Volume:
    return read(Path(scan), dict.fromkeys(cases.HINTS, ""))


def _on_scan(
    cosines: np.ndarray, shape: tuple[int, int, int], affine: np.ndarray, scan: Volume
) -> np.ndarray:
    """Patches, interpolated over the voxels that the encoder sees, on the voxels of the scan.

    Args:
        cosines: (GX, GY, GZ).
        shape, affine: of what the encoder sees.
    """
    fine = F.interpolate(
        torch.from_numpy(cosines)[None, None], shape, mode="trilinear", align_corners=False
    )[0, 0].numpy()
    transform = np.linalg.inv(affine) @ scan.affine
    # One voxel more on each side: the seen part ends half a voxel beyond the last centres.
    return ndimage.affine_transform(
        np.pad(fine, 1, mode="edge"),
        transform[:3, :3],
        transform[:3, 3] + 1,
        output_shape=scan.array.shape,
        output=np.float32,
        order=1,
        mode="constant",
        cval=np.nan,
    )


def _best(
    cosines: np.ndarray, affine: np.ndarray, scan: Volume
) -> list[tuple[tuple[float, float, float], float]]:
    grid = np.argwhere(np.ones(cosines.shape, bool))
    centres = grid @ affine[:3, :3].T + affine[:3, 3]
    to_scan = np.linalg.inv(scan.affine)
    voxels = centres @ to_scan[:3, :3].T + to_scan[:3, 3]
    edge = 0.5 + 1e-6
    inside = ((voxels >= -edge) & (voxels <= np.array(scan.array.shape) - 1 + edge)).all(axis=1)
    values = cosines.ravel()
    order = [i for i in np.argsort(-values, kind="stable") if inside[i]]
    return [(tuple(centres[i].tolist()), float(values[i])) for i in order]
