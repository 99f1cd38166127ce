import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from simcrop import cli
from simcrop.errors import InputError
from simcrop.formats import weights
from simcrop.inference import Encoder
from simcrop.models.inputs import to_input
from simcrop.models.pretrainer import Pretrainer

ENCODER = {"volume": (8, 8, 4), "patch": (4, 4, 2), "width": 12, "depth": 1, "heads": 2}
ALIGNMENT = {"width": 8, "top_k": 2, "temperature": 0.07, "negatives": "volume"}
SENTENCE = "A nodule."
# 2 mm voxels, 4 mm along z, stored with x towards the left and z towards the feet.
AFFINE = np.array([[-2.0, 0, 0, 40], [0, 2, 0, -7], [0, 0, -4, 90], [0, 0, 0, 1]])


@pytest.fixture
def model():
    return Pretrainer(ENCODER, {"sentence_alignment": ALIGNMENT}, seed=0, text_width=8)


@pytest.fixture
def text_folder(tmp_path, text_encoder):
    """A copy of the text encoder that a test may move."""
    return shutil.copytree(text_encoder, tmp_path / "text-encoder")


@pytest.fixture
def trained(tmp_path, model, text_folder):
    """Weights that look at 8 x 8 x 4 voxels of 2 x 2 x 4 mm."""
    settings = {
        "encoder": ENCODER,
        "spacing": [2, 2, 4],
        "text_encoder": str(text_folder),
        "method": {"objectives": {"sentence_alignment": {**ALIGNMENT, "weight": 1.0}}},
    }
    weights.save(tmp_path / "weights.safetensors", model.state_dict(), settings)
    return tmp_path / "weights.safetensors"


@pytest.fixture
def ct(tmp_path):
    """A scan of 10 x 8 x 4 voxels, two more along x than the encoder looks at."""
    hu = np.random.default_rng(0).integers(-1000, 1000, (10, 8, 4)).astype(np.int16)
    nib.save(nib.Nifti1Image(hu, AFFINE), tmp_path / "ct.nii.gz")
    return tmp_path / "ct.nii.gz"


def ras(ct):
    return np.asarray(nib.load(ct).dataobj)[::-1, :, ::-1].copy()


def test_a_vector_is_the_mean_token_of_the_scan_in_ras(trained, model, ct):
    expected = model.encoder.features(to_input(ras(ct), ENCODER["volume"])[None])
    np.testing.assert_allclose(Encoder(trained).embed(ct), expected[0].detach(), atol=1e-5)


def test_a_heat_map_lies_on_the_scan_s_own_grid(trained, ct):
    found = Encoder(trained).locate(ct, SENTENCE)
    assert found.heat.shape == (10, 8, 4)
    assert np.array_equal(found.affine, AFFINE)
    grid = torch.from_numpy(found.cosines)[None, None]
    seen = torch.nn.functional.interpolate(grid, (8, 8, 4), mode="trilinear")[0, 0].numpy()
    np.testing.assert_allclose(found.heat[1:9], seen[::-1, :, ::-1], atol=1e-6)


def test_the_best_patches_come_first_with_the_place_of_their_centre(trained, ct):
    found = Encoder(trained).locate(ct, SENTENCE)
    assert [cosine for _, cosine in found.best] == sorted(found.cosines.ravel(), reverse=True)
    # In RAS the first voxel's centre is at x = 22 and z = 78; the encoder begins one voxel on.
    (x, y, z), cosine = found.best[0]
    patch = [round(one) for one in ((x - 24 - 3) / 8, (y + 7 - 3) / 8, (z - 78 - 2) / 8)]
    assert (x, y, z) == (27 + 8 * patch[0], -4 + 8 * patch[1], 80 + 8 * patch[2])
    assert cosine == pytest.approx(found.cosines[tuple(patch)])


def test_patches_of_padding_are_never_the_best(trained, tmp_path):
    hu = np.random.default_rng(0).integers(-1000, 1000, (8, 3, 4)).astype(np.int16)
    nib.save(nib.Nifti1Image(hu, AFFINE), tmp_path / "slim.nii.gz")
    found = Encoder(trained).locate(tmp_path / "slim.nii.gz", SENTENCE)
    assert len(found.best) == 4  # of eight
    assert {y for (_, y, _), _ in found.best} == {-7 + 2 * 2.5}


def test_the_commands_write_a_vector_a_scan_and_the_map_with_its_picture(
    trained, ct, tmp_path, capsys
):
    out = tmp_path / "out"
    common = ["--weights", str(trained), "--out"]
    assert cli.main(["embed", str(ct), str(ct), *common, str(out / "vectors.csv")]) == 0
    table = pd.read_csv(out / "vectors.csv")
    np.testing.assert_allclose(table.loc[1, "f0":"f11"].astype(float), Encoder(trained).embed(ct))
    assert cli.main(["locate", str(ct), "--sentence", SENTENCE, *common, str(out)]) == 0
    image = nib.load(out / "ct.similarity.nii.gz")
    found = Encoder(trained).locate(ct, SENTENCE)
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), found.heat)
    assert np.array_equal(image.affine, AFFINE)
    assert (out / "ct.similarity.png").stat().st_size > 1000
    assert f"{found.best[0][1]:.3f}" in capsys.readouterr().out


def test_a_text_encoder_that_has_moved_is_named(trained, text_folder, ct, tmp_path, capsys):
    text_folder.rename(tmp_path / "moved")
    arguments = ["locate", str(ct), "--sentence", SENTENCE, "--weights", str(trained)]
    assert cli.main([*arguments, "--out", str(tmp_path)]) == 1
    assert "text-encoder" in capsys.readouterr().err
    moved = ["--text-encoder", str(tmp_path / "moved")]
    assert cli.main([*arguments, *moved, "--out", str(tmp_path)]) == 0


def test_weights_without_a_spacing_are_refused(tmp_path, model):
    weights.save(tmp_path / "old.safetensors", model.state_dict(), {"encoder": ENCODER})
    with pytest.raises(InputError, match=r"old\.safetensors: does not say at which spacing"):
        Encoder(tmp_path / "old.safetensors")
