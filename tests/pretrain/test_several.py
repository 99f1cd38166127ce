"""Several processes train as one does."""

import pandas as pd
import pytest
from several import together

from simcrop.errors import InputError
from simcrop.pretrain import train

ALL = ("image_reconstruction", "report_reconstruction", "sentence_alignment", "global_contrast")
# An epoch is a step, so that history.csv is the loss curve.
STEPS = {"epochs": 20, "warmup_epochs": 2, "lr": 3e-3, "clip": 1.0}


@pytest.fixture
def make_negatives(make_run):
    """Makes a run of all objectives with the negatives named, all that `published` says beside."""

    def make(negatives, published=False, **recipe):
        mean = {"mean_over": "all" if published else "masked"}
        objectives = {
            "image_reconstruction": {"decoder": {"width": 12, "depth": 1, "heads": 2}, **mean},
            "report_reconstruction": {"depth": 1, "heads": 2, "feed_forward": 16, **mean},
            "sentence_alignment": {
                "top_k": 2,
                "width": 8,
                "negatives": negatives,
                "padding": published,
            },
            "global_contrast": {"width": 8},
        }
        return make_run(*ALL, objectives=objectives, **STEPS, **recipe)

    return make


def test_several_processes_give_the_loss_curve_of_one(make_negatives, tmp_path):
    # Rows do not divide evenly: 7 among 2, and a part of 3 among 2 and among 3.
    runs = {
        "volume": make_negatives("volume", batch=7),
        "batch": make_negatives("batch", batch=6, accumulation=2),
        "report": make_negatives("report", published=True, batch=7),
    }
    for name, run in runs.items():
        train.encoder(run, tmp_path / "1" / name)
    for number, names in {2: ("volume", "batch", "report"), 3: ("batch",)}.items():
        folder = tmp_path / str(number)
        together(number, [(train.encoder, (runs[name], folder / name)) for name in names])
        for name in names:
            one, several = (
                pd.read_csv(place / name / "history.csv") for place in (tmp_path / "1", folder)
            )
            assert len(one) == 20
            norms = [table.pop("gradient_norm") for table in (several, one)]
            pd.testing.assert_frame_equal(several, one, rtol=0, atol=1e-5)
            pd.testing.assert_series_equal(*norms, rtol=1e-5)


def test_a_loss_that_is_no_number_in_one_process_ends_all_with_the_batch_s_cases(
    make_run, tmp_path
):
    run = make_run("image_reconstruction", batch=8, lr=1e30, warmup_epochs=0)
    with pytest.raises(Exception, match=r"a loss is (nan|inf) at step 1, on the cases") as told:
        together(2, [(train.encoder, (run, tmp_path))])
    assert all(f"c{number}" in str(told.value) for number in (0, 1, 2, 4, 5, 6, 7, 8))
    assert not list((tmp_path / "checkpoints").glob("*"))


def test_a_part_with_fewer_scans_than_processes_is_refused(make_run, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    run = make_run("image_reconstruction", batch=6, accumulation=2)
    with pytest.raises(InputError, match=r"6 scans in 2 parts .* leave 3 a part, for 4 processes"):
        train.encoder(run, tmp_path)
