import math
import os
import subprocess
import sys
from itertools import pairwise

import pandas as pd
import pytest
import torch
from local_host import LocalHost

from simcrop.checkpoints import Checkpoints
from simcrop.errors import InputError
from simcrop.formats import text_encoder, weights
from simcrop.formats.volumes import VolumeStore
from simcrop.models.vit import ViT
from simcrop.pretrain import data, reconstruction, train

ALL = ("image_reconstruction", "report_reconstruction", "sentence_alignment", "global_contrast")
OUTPUTS = ("weights.safetensors", "history.csv", "reconstruction.zip")


def outputs(folder):
    return [(folder / name).read_bytes() for name in OUTPUTS]


class Killed(Exception):
    """Stands for a job's end at any moment."""


@pytest.fixture
def whole(make_run, tmp_path):
    """A finished run with all objectives, and the folder of its outputs."""
    run = make_run(*ALL, checkpoint_epochs=1)
    train.encoder(run, tmp_path / "whole")
    return run, tmp_path / "whole"


def test_two_runs_of_one_seed_are_equal_bit_for_bit_whatever_was_drawn_before(whole, tmp_path):
    run, folder = whole
    torch.manual_seed(1234)
    train.encoder(run, tmp_path / "again")
    assert outputs(tmp_path / "again") == outputs(folder)


@pytest.mark.parametrize("steps", [[0], [1], [4], [3, 5, 7]])
def test_a_run_killed_at_any_step_and_resumed_ends_in_the_same_bytes(
    whole, tmp_path, monkeypatch, steps
):
    run, folder = whole
    schedule = train.learning_rate
    for kill in steps:

        def killed(step, *rest, at=kill):
            if step == at:
                raise Killed
            return schedule(step, *rest)

        monkeypatch.setattr(train, "learning_rate", killed)
        with pytest.raises(Killed):
            train.encoder(run, tmp_path / "killed")
    monkeypatch.setattr(train, "learning_rate", schedule)
    train.encoder(run, tmp_path / "killed")
    assert outputs(tmp_path / "killed") == outputs(folder)


def test_a_run_goes_on_in_the_middle_of_an_epoch(make_run, tmp_path, monkeypatch):
    run = make_run(*ALL, checkpoint_minutes=1e-9)  # epochs of two steps, a checkpoint at each
    train.encoder(run, tmp_path / "whole")
    schedule, seen = train.learning_rate, []

    def killed(step, *rest):
        seen.append(step)
        if seen == [0, 1, 2, 3, 4]:
            raise Killed
        return schedule(step, *rest)

    monkeypatch.setattr(train, "learning_rate", killed)
    with pytest.raises(Killed):
        train.encoder(run, tmp_path / "killed")
    train.encoder(run, tmp_path / "killed")
    assert seen == [0, 1, 2, 3, 4, 3, 4, 5, 6, 7]
    assert outputs(tmp_path / "killed") == outputs(tmp_path / "whole")


def test_without_objectives_an_encoder_is_what_its_start_holds(whole, make_run, tmp_path):
    _, folder = whole
    start = str(folder / "weights.safetensors")
    train.encoder(make_run().model_copy(update={"start": start, "seed": 7}), tmp_path)
    trained, _ = weights.load(start)
    taken, _ = weights.load(tmp_path / "weights.safetensors")
    assert taken.keys() == {key for key in trained if key.startswith("encoder.")}
    assert all(torch.equal(value, trained[key]) for key, value in taken.items())


def test_an_encoder_is_fetched_from_a_repository_of_the_hub(whole, make_run, tmp_path):
    _, folder = whole
    held = {"model.safetensors": (folder / "weights.safetensors").read_bytes()}
    run = make_run().model_copy(update={"start": "me/ours"})
    (tmp_path / "settings.yaml").write_text(run.yaml())
    with LocalHost(repositories={"me/ours": held}) as host:
        # The client reads its endpoint when it is imported.
        place = {"HF_ENDPOINT": host.url, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
        subprocess.run(
            [sys.executable, "-m", "simcrop.cli", "pretrain", tmp_path / "settings.yaml"],
            env={**os.environ, **place},
            check=True,
        )
    trained, _ = weights.load(folder / "weights.safetensors")
    taken, _ = weights.load(tmp_path / "weights.safetensors")
    assert all(torch.equal(value, trained[key]) for key, value in taken.items())


def test_training_begins_at_its_start(whole, make_run, tmp_path):
    _, folder = whole
    start = str(folder / "weights.safetensors")
    run = make_run("image_reconstruction", lr=1e-12, weight_decay=0.0, warmup_epochs=0)
    train.encoder(run.model_copy(update={"start": start}), tmp_path)
    trained, _ = weights.load(start)
    further, _ = weights.load(tmp_path / "weights.safetensors")
    for key in (key for key in further if key.startswith("encoder.")):
        torch.testing.assert_close(further[key], trained[key], atol=1e-7, rtol=0)
    head = "image_reconstruction.mask_token"
    assert not torch.allclose(further[head], trained[head])


def test_a_run_resumes_from_the_checkpoint_before_a_damaged_one(whole, tmp_path):
    run, folder = whole
    before = outputs(folder)
    newest = max((folder / "checkpoints").glob("*.pt"))
    newest.write_bytes(newest.read_bytes()[:1000])
    train.encoder(run, folder)
    assert outputs(folder) == before


@pytest.mark.parametrize("owner", [weights, reconstruction])
def test_a_finished_run_killed_while_it_writes_is_never_trained_again(
    whole, tmp_path, monkeypatch, owner
):
    run, folder = whole
    name = "save" if owner is weights else "write"

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, kill)
        with pytest.raises(Killed):
            train.encoder(run, tmp_path / "killed")
    monkeypatch.setattr(train, "_backward", kill)
    train.encoder(run, tmp_path / "killed")
    assert outputs(tmp_path / "killed") == outputs(folder)


def test_changed_settings_begin_anew(whole, tmp_path):
    run, folder = whole
    other = run.model_copy(update={"seed": 8})
    train.encoder(other, folder)
    train.encoder(other, tmp_path / "fresh")
    assert outputs(folder) == outputs(tmp_path / "fresh")


def test_history_holds_a_row_an_epoch_and_the_total_is_the_weighted_sum(make_run, tmp_path):
    objectives = {
        "image_reconstruction": {"weight": 5.0, "decoder": {"width": 12, "depth": 1, "heads": 2}},
        "sentence_alignment": {"weight": 0.5, "top_k": 2, "width": 8},
    }
    run = make_run(*objectives, objectives=objectives)
    train.encoder(run, tmp_path)
    history = pd.read_csv(tmp_path / "history.csv")
    assert list(history.columns) == ["epoch", *objectives, "total", "lr", "gradient_norm"]
    assert list(history["epoch"]) == [1, 2, 3, 4]
    expected = 5 * history["image_reconstruction"] + 0.5 * history["sentence_alignment"]
    assert (history["total"] - expected).abs().max() < 1e-5
    assert history["image_reconstruction"].iloc[-1] < history["image_reconstruction"].iloc[0]


def test_weights_hold_the_objectives_by_name_the_settings_and_no_text_encoder(whole):
    run, folder = whole
    state, settings = weights.load(folder / "weights.safetensors")
    assert settings == run.model_dump(mode="json")
    assert {name.split(".")[0] for name in state} == {"encoder", *ALL}
    part = {k.removeprefix("encoder."): v for k, v in state.items() if k.startswith("encoder.")}
    ViT(**settings["encoder"]).load_state_dict(part)


def test_the_text_encoder_is_frozen_in_eval_and_gets_no_gradient(make_run, monkeypatch, tmp_path):
    seen = {}
    original = text_encoder.load

    def load(*args):
        tokenizer, model = original(*args)
        seen["model"] = model
        seen["before"] = {name: value.clone() for name, value in model.state_dict().items()}
        return tokenizer, model

    monkeypatch.setattr(text_encoder, "load", load)
    train.encoder(make_run(*ALL, weight_decay=0.5), tmp_path)
    model = seen["model"]
    assert not any(module.training for module in model.modules())
    for name, value in model.named_parameters():
        assert value.grad is None and not value.requires_grad
        assert torch.equal(value, seen["before"][name])


def test_without_objectives_the_encoder_stays_at_the_start_that_all_methods_of_a_seed_share(
    make_run, tmp_path
):
    train.encoder(make_run(), tmp_path / "random")
    random, _ = weights.load(tmp_path / "random/weights.safetensors")
    assert all(name.startswith("encoder.") for name in random)
    assert (tmp_path / "random/history.csv").read_text() == "epoch,total,lr,gradient_norm\n"
    assert VolumeStore(tmp_path / "random/reconstruction.zip").cases == []
    run = make_run("sentence_alignment", lr=1e-30, weight_decay=0.0)
    train.encoder(run, tmp_path / "still")
    still, _ = weights.load(tmp_path / "still/weights.safetensors")
    for name, value in random.items():
        assert torch.allclose(still[name], value, rtol=0, atol=1e-20)


def test_accumulated_parts_add_up_to_the_mean_of_their_losses_and_gradients(make_run, tmp_path):
    run = make_run(
        "image_reconstruction", batch=8, accumulation=2, epochs=1, warmup_epochs=0, clip=1e-3
    )
    train.encoder(run, tmp_path)
    row = pd.read_csv(tmp_path / "history.csv").iloc[0]
    table = data.training_cases(train.cases.read(run.cases), run)
    batches = data.Batches(
        run, list(table["case"]), data.Volumes(run.volumes, list(table["case"])), None
    )
    model = train._pretrainer(run, None, {})
    losses = [model(batches[i])["image_reconstruction"] for i in range(2)]
    (sum(losses) / 2).backward()
    norm = math.sqrt(sum(p.grad.square().sum().item() for p in model.parameters()))
    assert row["total"] == pytest.approx(sum(losses).item() / 2, rel=1e-6)
    assert row["gradient_norm"] == pytest.approx(norm, rel=1e-5)
    assert row["lr"] == run.recipe.lr


def test_learning_rate_rises_to_its_peak_and_falls_along_half_a_cosine():
    rates = [train.learning_rate(step, 100, 20, 2.0) for step in range(100)]
    assert all(a < b for a, b in pairwise(rates[:21]))
    assert all(a > b for a, b in pairwise(rates[20:]))
    assert rates[20] == 2.0 == max(rates)
    assert rates[60] == pytest.approx(1.0)
    assert 0 < rates[99] < 0.002


def test_biases_norms_and_tokens_do_not_decay(make_run):
    model = train._pretrainer(make_run("image_reconstruction"), None, {})
    decaying, still = (group["params"] for group in train._groups(model, 0.05))
    names = {id(p): name for name, p in model.named_parameters()}
    assert {names[id(p)].rsplit(".", 1)[-1] for p in decaying} == {"weight"}
    assert not any("norm" in names[id(p)] for p in decaying)
    assert {"encoder.cls_token", "image_reconstruction.mask_token"} <= {names[id(p)] for p in still}
    assert len(decaying) + len(still) == len(names)


def test_a_loss_that_is_no_number_names_the_step_and_the_cases(make_run, tmp_path):
    run = make_run("image_reconstruction", lr=1e30, batch=8, warmup_epochs=0)
    with pytest.raises(InputError, match=r"a loss is (nan|inf) at step \d+, on the cases .*c0"):
        train.encoder(run, tmp_path)
    assert not (tmp_path / "weights.safetensors").exists()


def test_a_state_that_gives_an_unsound_loss_is_not_saved_and_the_one_before_is_named(
    make_run, tmp_path, monkeypatch
):
    monkeypatch.setattr(train, "learning_rate", lambda step, *_: 1e30 if step == 3 else 1e-3)
    run = make_run("image_reconstruction", batch=8, epochs=9, checkpoint_epochs=1)
    with pytest.raises(InputError, match=r"at step 4.* checkpoint is .*step-000000003\.pt"):
        train.encoder(run, tmp_path)
    assert sorted(path.stem for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-000000002",
        "step-000000003",
    ]


@pytest.mark.parametrize(("capability", "equal"), [("AVX512", False), ("AVX2", True)])
def test_bf16_trains_to_nearly_the_same_losses_and_in_float32_where_it_would_be_slow(
    make_run, tmp_path, monkeypatch, capability, equal
):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    means = {}
    for precision in ("no", "bf16"):
        run = make_run(*ALL, precision=precision, epochs=1, warmup_epochs=0)
        train.encoder(run, tmp_path / precision)
        means[precision] = pd.read_csv(tmp_path / precision / "history.csv")["total"].tolist()
    assert means["bf16"] == pytest.approx(means["no"], rel=0.03)
    assert (means["bf16"] == means["no"]) == equal


def test_heads_that_do_not_divide_the_text_encoder_s_width_are_named(make_run, tmp_path):
    objectives = {"report_reconstruction": {"depth": 1, "heads": 3, "feed_forward": 8}}
    run = make_run("report_reconstruction", objectives=objectives)
    with pytest.raises(
        InputError, match=r"report_reconstruction\.heads: .* 16 is no multiple of 3"
    ):
        train.encoder(run, tmp_path)


def test_checkpoints_are_written_as_often_as_asked_and_at_the_end(make_run, tmp_path, monkeypatch):
    saved = []
    original = Checkpoints.save
    monkeypatch.setattr(
        Checkpoints, "save", lambda self, step, s: saved.append(step) or original(self, step, s)
    )
    run = make_run("image_reconstruction", epochs=5, checkpoint_epochs=2)
    train.encoder(run, tmp_path)
    assert saved == [2 * 2, 4 * 2, 5 * 2]  # epochs of two steps
