import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from simcrop import runs
from simcrop.benchmark.picture import best_voxel, draw
from simcrop.benchmark.sample import sample
from simcrop.benchmark.similarity import Matcher
from simcrop.errors import InputError
from simcrop.formats import maps
from simcrop.formats import text_encoder as texts
from simcrop.formats.maps import on_volume
from simcrop.models.inputs import fit, to_input

FINE = np.diag([1.0, 1.0, 2.0, 1.0])


@pytest.fixture
def run(tmp_path, store, case_table, encoder_weights, text_encoder):
    rng = np.random.default_rng(0)
    coarse = {f"case0{i}": rng.integers(-999, 999, (18, 15, 9)).astype(np.int16) for i in range(2)}
    fine = {case: hu.repeat(2, 0).repeat(2, 1).repeat(2, 2) for case, hu in coarse.items()}
    table = case_table(["", "", ""], {})
    table.loc[2, "path"] = ""  # a report without a scan
    table.to_csv(tmp_path / "cases.csv", index=False)
    return runs.Sample(
        weights=encoder_weights(aligned=True),
        text_encoder=str(text_encoder),
        cases=str(tmp_path / "cases.csv"),
        volumes=[store("coarse.zip", coarse)],
        background=[store("fine.zip", fine, FINE)],
        settings={
            "cohort": "coarse",
            "background": "fine",
            "method": "simcrop",
            "sentences": ["a nodule is seen .", "no opacity is seen ."],
        },
    )


def test_every_scan_gets_its_embedding_its_maps_and_a_picture(run, tmp_path):
    sample(run, tmp_path)
    vectors = pd.read_csv(tmp_path / "embeddings.csv")
    assert list(vectors.columns) == ["case", *(f"f{i}" for i in range(12))]
    assert list(vectors["case"]) == ["case00", "case01"]
    table, store = maps.read(tmp_path)
    assert list(table["map"]) == store.cases == ["case00.1", "case00.2", "case01.1", "case01.2"]
    assert list(table["sentence"]) == 2 * run.settings.sentences
    for case in ("case00", "case01"):
        assert Image.open(tmp_path / "pictures" / f"{case}.png").size[0] == 1000


def test_a_second_run_gives_the_same_bytes(run, tmp_path):
    found = []
    for _ in range(2):
        sample(run, tmp_path)
        names = ("embeddings.csv", "maps.zip", "maps.csv", "pictures/case00.png")
        found.append([(tmp_path / name).read_bytes() for name in names])
    assert found[0] == found[1]


def test_a_sample_without_scans_is_an_error(run, tmp_path):
    table = pd.read_csv(run.cases, dtype=str, keep_default_na=False)
    table.assign(path="").to_csv(run.cases, index=False)
    with pytest.raises(InputError, match="no case has a volume"):
        sample(run, tmp_path)


def test_maps_are_the_cosines_of_projected_patches_and_words(run):
    matcher = Matcher(run.weights, run.text_encoder)
    hu = np.random.default_rng(1).integers(-999, 999, (16, 16, 8)).astype(np.int16)
    tokens = matcher.tokens(hu)
    torch.testing.assert_close(tokens, matcher.encoder(to_input(hu, (16, 16, 8))[None])[0, 1:])
    found = matcher.maps(tokens, run.settings.sentences)
    assert found.shape == (2, 2, 2, 2)
    for sentence, grid in zip(run.settings.sentences, found, strict=True):
        words, _ = texts.encode(matcher.tokenizer, matcher.bert, [sentence])
        text = matcher.heads.text_head(words[0]).mean(dim=0)
        for (x, y, z), cosine in np.ndenumerate(grid):
            image = matcher.heads.image_head(tokens[(x * 2 + y) * 2 + z])
            expected = torch.cosine_similarity(image, text, dim=0)
            assert cosine == pytest.approx(float(expected), abs=1e-5)


def test_patch_centres_lie_where_the_crop_puts_them(run):
    matcher = Matcher(run.weights, run.text_encoder)
    affine = np.diag([2.0, 2.0, 4.0, 1.0])
    affine[:3, 3] = [-10, 5, 7]
    edges = (20, 15, 8)
    places = np.moveaxis(np.indices(edges), 0, -1)
    # What `fit` makes of the volume's own indices says which voxels a patch holds; air is padding.
    seen = np.stack([fit(places[..., axis], (16, 16, 8)).numpy() for axis in range(3)], axis=-1)
    for patch in ((0, 1, 0), (1, 1, 1)):
        x, y, z = np.array(patch) * (8, 8, 4)
        voxels = seen[x : x + 8, y : y + 8, z : z + 4].reshape(-1, 3)
        assert (voxels > -1000).all()
        expected = affine @ [*voxels.mean(axis=0), 1]
        np.testing.assert_allclose(matcher.affine(affine, edges) @ [*patch, 1], expected)


def test_a_map_is_drawn_where_its_patches_are():
    x, y, z = np.indices((3, 4, 5), np.float32)
    grid = (x - 2 * y + 3 * z).astype(np.float32)
    map_affine = np.diag([8.0, 8.0, 8.0, 1.0])
    map_affine[:3, 3] = [3.5, 3.5, 3.5]  # patches of eight 1 mm voxels, the first voxel at 0 mm
    overlay = on_volume(grid, map_affine, np.eye(4), (30, 32, 40))
    for patch, value in np.ndenumerate(grid):
        centre = tuple(slice(8 * index + 3, 8 * index + 5) for index in patch)
        # Half a voxel from an outer centre the map stays flat: up to 1/16 of each slope is missing.
        assert overlay[centre].mean() == pytest.approx(value, abs=6 / 32 + 1e-3)
    assert np.isnan(overlay[24:]).all() and not np.isnan(overlay[:24]).any()
    assert best_voxel(grid, map_affine, np.eye(4), (30, 32, 40)) == (20, 4, 36)


def test_the_patients_left_is_on_the_right_of_the_picture(tmp_path):
    hu = np.full((40, 40, 40), -1000, np.int16)
    hu[:15] = 400  # low x is left in RAS
    affine = np.eye(4)
    grid = np.full((1, 5, 5, 5), 0.1, np.float32)
    grid[0, 2, 2, 2] = 0.2
    map_affine = np.diag([8.0, 8.0, 8.0, 1.0])
    map_affine[:3, 3] = 3.5
    draw(tmp_path / "a.png", "case", (hu, affine), (grid, map_affine), ["A sentence."])
    grey = np.asarray(Image.open(tmp_path / "a.png").convert("L")).astype(float)
    axial = grey[120:380, 20:290]  # the first of three panels
    assert axial[:, 200:].mean() > axial[:, :100].mean() + 50
