"""`simcrop resample` and `simcrop sentences`, as a user calls them."""

import json

import nibabel
import numpy as np
import pytest

from simcrop.cli import main

AFFINE = np.diag([-4.0, 4.0, 8.0, 1.0])


@pytest.fixture
def scan(tmp_path):
    array = np.random.default_rng(0).integers(-1000, 400, (12, 10, 8)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(array, AFFINE), tmp_path / "ct.nii.gz")
    return tmp_path / "ct.nii.gz"


def resample(*arguments):
    return main(["resample", *map(str, arguments)])


@pytest.mark.parametrize("name", ["out.nii.gz", "out.nii"])
def test_a_scan_is_written_in_ras_at_the_spacing(scan, tmp_path, name, capsys):
    assert resample(scan, tmp_path / name, "--spacing", 8, 8, 16) == 0
    image = nibabel.load(tmp_path / name)
    assert image.shape == (6, 5, 4)
    assert image.get_data_dtype() == np.int16
    assert np.allclose(image.header.get_zooms(), (8, 8, 16))
    assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
    assert capsys.readouterr().out == f"{tmp_path / name} 6x5x4 voxels\n"


def test_the_same_spacing_gives_the_same_voxels(scan, tmp_path):
    resample(scan, tmp_path / "out.nii", "--spacing", 4, 4, 8)
    before, after = (
        nibabel.as_closest_canonical(nibabel.load(p)) for p in (scan, tmp_path / "out.nii")
    )
    assert np.array_equal(before.get_fdata(), after.get_fdata())
    assert np.allclose(before.affine, after.affine)


def test_an_npz_needs_its_geometry_to_be_stated(tmp_path, capsys):
    array = np.random.default_rng(0).integers(-1000, 400, (8, 10, 12)).astype(np.int16)
    np.savez(tmp_path / "ct.npz", ct=array)
    out = tmp_path / "out.nii.gz"
    assert resample(tmp_path / "ct.npz", out, "--spacing", 4, 4, 8) == 1
    assert "give --input-spacing X Y Z and --input-orientation" in capsys.readouterr().err
    assert not out.exists()
    stated = ["--input-spacing", 8, 4, 4, "--input-orientation", "IPL"]
    assert resample(tmp_path / "ct.npz", out, "--spacing", 4, 4, 8, *stated) == 0
    expected = array[::-1, ::-1, ::-1].transpose(2, 1, 0)
    assert np.array_equal(nibabel.load(out).get_fdata(), expected)


def test_what_cannot_be_done_is_told_and_nothing_is_written(scan, tmp_path, capsys):
    for arguments, told in [
        ((scan, tmp_path / "out.mha", "--spacing", 1, 1, 1), "out.mha: is written as NIfTI"),
        ((scan, tmp_path / "out.nii", "--spacing", 1, 0, 1), "give three numbers above 0"),
        ((scan, tmp_path / "out.nii", "--spacing", 1e-3, 1e-3, 1e-3), "give a larger spacing"),
        ((scan, tmp_path / "out.nii", "--spacing", 1, "nan", 1), "give three numbers above 0"),
        ((scan, tmp_path / "out.nii", "--spacing", 1, 1, "inf"), "give three numbers above 0"),
        ((scan, scan / "out.nii", "--spacing", 4, 4, 8), "out.nii: cannot be written"),
        ((tmp_path / "no.nii", tmp_path / "out.nii", "--spacing", 1, 1, 1), "no such file"),
    ]:
        assert resample(*arguments) == 1
        assert told in capsys.readouterr().err
    scan.write_bytes(scan.read_bytes()[:-50])
    assert resample(scan, tmp_path / "out.nii", "--spacing", 1, 1, 1) == 1
    assert "ct.nii.gz: cannot be read" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["ct.nii.gz"]


def test_a_target_that_is_a_folder_is_told(scan, tmp_path, capsys):
    (tmp_path / "out.nii").mkdir()
    assert resample(scan, tmp_path / "out.nii", "--spacing", 4, 4, 8) == 1
    assert "out.nii: cannot be written (Is a directory)" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct.nii.gz", "out.nii"]


@pytest.mark.parametrize("stated", [("--input-spacing", 9, 9, 9), ("--input-orientation", "IPL")])
def test_a_geometry_is_not_stated_over_that_of_the_header(scan, tmp_path, capsys, stated):
    assert resample(scan, tmp_path / "out.nii", "--spacing", 4, 4, 8, *stated) == 1
    assert "ct.nii.gz: states its geometry itself; leave out" in capsys.readouterr().err


@pytest.mark.parametrize("factor", [0.001, 100])
def test_an_extent_that_no_chest_has_is_told(scan, tmp_path, capsys, factor):
    image = nibabel.load(scan)
    affine = AFFINE @ np.diag([factor, factor, factor, 1])
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), affine), tmp_path / "other.nii")
    assert resample(tmp_path / "other.nii", tmp_path / "out.nii", "--spacing", 4, 4, 8) == 1
    told = capsys.readouterr().err
    assert "other.nii: spans" in told
    assert "mend the spacing" in told
    assert not (tmp_path / "out.nii").exists()


def test_sentences_come_one_a_line_or_with_their_offsets(tmp_path, capsys):
    report = "A nodule of 3.5 mm is seen.\nIt is stable. “Ö”.\n"
    (tmp_path / "report.txt").write_text(report, encoding="utf-8")
    assert main(["sentences", str(tmp_path / "report.txt")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "A nodule of 3.5 mm is seen."
    assert main(["sentences", str(tmp_path / "report.txt"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["text"] for row in rows] == [report[row["start"] : row["end"]] for row in rows]
    assert len(rows) == len(lines)
    assert main(["sentences", str(tmp_path / "none.txt")]) == 1
    assert "none.txt: " in capsys.readouterr().err
