"""BTCV: 30 labelled abdominal CTs with 13 organs (Landman et al., MICCAI challenge 2015).

Source: Synapse syn3193805 behind a login; figshare 29077214 is the mirror that the paper's authors
name (unsure). 20 more scans are unlabelled.

Raw layout: imagesTr/img0001.nii.gz with labelsTr/label0001.nii.gz, imagesTs/img0061.nii.gz. The
authors' list calls both files of a pair btcv_001.nii.gz, which is read too.

Labels: none; the masks hold the organs' ids. Splits: none of its own. The official list has 24
training and 6 validation cases and no labelled test case, so that test cases are drawn from all 30.
Scans without a label never enter the table.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from simcrop import remote, sections
from simcrop.cohorts import layout
from simcrop.errors import InputError
from simcrop.progress import progress

HOST = remote.Host("figshare", ("29077214",))
STRUCTURES = {
    1: "spleen",
    2: "right kidney",
    3: "left kidney",
    4: "gallbladder",
    5: "oesophagus",
    6: "liver",
    7: "stomach",
    8: "aorta",
    9: "inferior vena cava",
    10: "portal and splenic veins",
    11: "pancreas",
    12: "right adrenal",
    13: "left adrenal",
}
# The middle of the sections: the upper abdomen and the lung bases.
_CENTRE = (0, 0, -120)
_UNLABELLED = 0.1


def index(raw: Path, cohort: str) -> pd.DataFrame:
    """The case table of all labelled scans.

    Raises:
        InputError: there is no label.
    """
    rows = []
    for path in sorted((raw / "labelsTr").glob(f"{layout.VISIBLE}.nii.gz")):
        image = path.name.replace("label", "img")
        case = image.removesuffix(".nii.gz")
        rows.append(
            {
                "case": case,
                "patient": case,
                "scan": case,
                "path": f"imagesTr/{image}",
                "mask": f"labelsTr/{path.name}",
            }
        )
    if not rows:
        raise InputError(
            f"{raw / 'labelsTr'}: no label; acquire.btcv.folder is the folder that holds imagesTr "
            "and labelsTr"
        )
    return layout.case_table(raw, cohort, rows)


def make(raw: Path, settings: sections.Synthetic, seed: int) -> None:
    """Write a synthetic cohort of healthy abdomens with contrast medium, a tenth without labels."""
    from simcrop.cohorts.synthetic import case, space

    labelled = settings.cases - round(_UNLABELLED * settings.cases)
    for number in progress(range(1, settings.cases + 1), "btcv"):
        name = f"img{number:04d}"
        rng = space.generator(seed, f"{name}/storage")
        grid = space.field_like(rng, settings.spacing, _CENTRE)
        drawn = case.draw(name, seed, settings, grid, plan=lambda rng: [], enhanced=True)
        codes = rng.choice(["LAS", "RAS", "LPS"])
        shift = np.int16(rng.choice([0, 1024]))
        image = layout.oriented(drawn.volume + shift, grid.affine, codes)
        image.header.set_slope_inter(1, -int(shift))
        folder = "imagesTr" if number <= labelled else "imagesTs"
        layout.write_nifti(raw / folder / f"{name}.nii.gz", image)
        if number <= labelled:
            mask = layout.structure_ids(drawn.structures, STRUCTURES)
            mask = layout.oriented(mask, grid.affine, codes)
            layout.write_nifti(raw / "labelsTr" / f"label{number:04d}.nii.gz", mask)
