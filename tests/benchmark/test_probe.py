import json

import numpy as np
import pandas as pd
import pytest
import torch

from simcrop import runs
from simcrop.benchmark import features as kept
from simcrop.benchmark import probe
from simcrop.benchmark.encoder import load_encoder
from simcrop.benchmark.features import dropped, features
from simcrop.benchmark.probe import classification, fit, measure, probabilities
from simcrop.errors import InputError
from simcrop.formats.volumes import VolumeStore
from simcrop.provenance import provenance
from simcrop.tasks import ProbeSchedule

SCHEDULE = {"steps": 60, "lr": 0.05, "warmup": 6, "batch": 8}
SPLITS = ["train"] * 20 + ["val"] * 8 + ["test"] * 12


@pytest.fixture
def make_run(tmp_path, store, encoder_weights):
    """A run over random volumes of as many cases as SPLITS has."""
    rng = np.random.default_rng(0)
    volumes = {
        f"case{i:02}": rng.integers(-1000, 1000, (16, 16, 8)).astype(np.int16)
        for i in range(len(SPLITS))
    }
    shared = {"weights": encoder_weights(), "volumes": [store("volumes.zip", volumes)]}

    def make(kind, fractions=(1.0,), **schedule):
        return runs.Classify(
            benchmark="tiny",
            method="random",
            seed=0,
            record=str(tmp_path / "record.csv"),
            cases=str(tmp_path / "cases.csv"),
            settings={
                "task": "classification",
                "title": "Tiny",
                "cohort": "tiny",
                "kind": kind,
                "fractions": {key: {**SCHEDULE, **schedule} for key in fractions},
            },
            **shared,
        )

    return make


def planted(count, seed, outputs=1):
    """Features in which each label is the sign of one direction."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 16))
    directions = np.random.default_rng(99).normal(size=(16, outputs))
    directions -= directions.mean(axis=0)  # LayerNorm takes the mean of each vector away
    targets = (vectors @ directions > 0).astype(np.float32)
    return torch.tensor(vectors, dtype=torch.float32), torch.tensor(targets)


def test_a_probe_recovers_linearly_separable_labels(make_run):
    run = make_run("multilabel", steps=300, patience=300)
    schedule = run.settings.fractions[1.0]
    head = fit(run, schedule, planted(300, 1, 3), planted(60, 2, 3), seed=0)
    vectors, targets = planted(200, 3, 3)
    found = measure(
        probabilities(head, vectors, "multilabel"), targets.numpy(), list("abc"), "multilabel"
    )
    assert found["auroc"] > 0.97
    assert found["average_precision"] > 0.95
    assert found["auroc"] == pytest.approx(np.mean([found[f"auroc:{name}"] for name in "abc"]))


def test_a_probe_recovers_classes(make_run):
    run = make_run("multiclass", steps=300, patience=300)

    def classes(count, seed):
        vectors, _ = planted(count, seed)
        return vectors, torch.nn.functional.one_hot(vectors[:, :3].argmax(dim=1), 3).float()

    head = fit(run, run.settings.fractions[1.0], classes(300, 1), classes(60, 2), seed=0)
    vectors, targets = classes(200, 3)
    found = probabilities(head, vectors, "multiclass")
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert measure(found, targets.numpy(), list("abc"), "multiclass")["accuracy"] > 0.9


def test_unknown_labels_teach_nothing(make_run):
    run = make_run("multilabel")
    vectors, targets = planted(100, 1, 2)
    half = targets.clone()
    half[50:, 0] = torch.nan
    flipped = targets.clone()
    flipped[50:, 0] = 1 - flipped[50:, 0]
    schedule = ProbeSchedule(**SCHEDULE)
    validation = planted(30, 2, 2)
    # In a full batch, column 0 of an unknown row must weigh as if that entry were not there.
    loss = probe._loss(torch.zeros(100, 2), half, "multilabel")
    assert float(loss) == pytest.approx(np.log(2))
    test = planted(200, 3, 2)
    known, wrong = (
        measure(
            probabilities(
                fit(run, schedule, (vectors, labels), validation, 0), test[0], "multilabel"
            ),
            test[1].numpy(),
            ["a", "b"],
            "multilabel",
        )["auroc:a"]
        for labels in (half, flipped)
    )
    assert known > 0.9 > wrong


def test_the_head_that_is_best_on_validation_is_kept(make_run, monkeypatch):
    looks = []

    def validate(head, *_):
        looks.append({name: value.clone() for name, value in head.state_dict().items()})
        return (0.9 if len(looks) == 4 else 0.5), 0.0

    monkeypatch.setattr(probe, "_validate", validate)
    run = make_run("binary", steps=2000, patience=7)
    head = fit(run, run.settings.fractions[1.0], planted(16, 1), planted(8, 2), seed=0)
    assert len(looks) == 4 + 7
    for name, value in head.state_dict().items():
        assert torch.equal(value, looks[3][name])


def test_training_never_stops_in_its_first_ten_epochs_or_its_warm_up(make_run, monkeypatch):
    for warmup, looks_expected in ((6, 10), (40, 20)):
        looks = []
        monkeypatch.setattr(
            probe, "_validate", lambda *_, looks=looks: (-len(looks), looks.append(0))
        )
        run = make_run("binary", steps=2000, patience=1, warmup=warmup)
        fit(run, run.settings.fractions[1.0], planted(16, 1), planted(8, 2), seed=0)
        assert len(looks) == looks_expected


def test_test_labels_never_influence_the_predictions(make_run, case_table, tmp_path):
    rng = np.random.default_rng(5)
    labels = {name: rng.integers(0, 2, len(SPLITS)) for name in ("A", "B")}
    found = []
    for turn in range(2):
        if turn:
            for values in labels.values():
                values[-12:] = 1 - values[-12:]
        case_table(SPLITS, labels)
        classification(make_run("multilabel", (0.5, 1.0)), tmp_path)
        table = pd.read_csv(tmp_path / "predictions.csv", dtype=str)
        found.append(table)
    columns = ["fraction", "case", "patient", "score:A", "score:B"]
    assert found[0][columns].equals(found[1][columns])
    assert not found[0]["label:A"].equals(found[1]["label:A"])


def test_scores_can_be_made_again_from_the_predictions(make_run, case_table, tmp_path):
    rng = np.random.default_rng(6)
    case_table(SPLITS, {"A": rng.integers(0, 2, len(SPLITS)), "B": [0, 1] * 14 + [0] * 12})
    classification(make_run("multilabel", (0.5, 1.0)), tmp_path)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["undefined"] == ["B"]
    table = pd.read_csv(tmp_path / "predictions.csv")
    for record, size in zip(scores["records"], (10, 20), strict=True):
        rows = table[table["fraction"] == record["fraction"]]
        again = measure(
            rows[["score:A", "score:B"]].to_numpy(),
            rows[["label:A", "label:B"]].to_numpy(float),
            ["A", "B"],
            "multilabel",
        )
        assert record["metrics"] == pytest.approx(again)
        assert record["metrics"]["auroc"] == record["metrics"]["auroc:A"]
        assert "auroc:B" not in record["metrics"]
        assert (record["train_cases"], record["test_cases"]) == (size, 12)


def test_a_second_run_gives_the_same_bytes(make_run, case_table, tmp_path):
    case_table(SPLITS, {"A": np.arange(len(SPLITS)) % 2})
    run = make_run("binary")
    files = []
    for _ in range(2):
        classification(run, tmp_path)
        files.append(
            [(tmp_path / f"{name}").read_bytes() for name in ("scores.json", "predictions.csv")]
        )
    assert files[0] == files[1]


def test_a_case_of_two_classes_is_named(make_run, case_table, tmp_path):
    first, second = np.arange(len(SPLITS)) % 2, 1 - np.arange(len(SPLITS)) % 2
    first[3] = second[3] = 1
    case_table(SPLITS, {"A": first, "B": second})
    with pytest.raises(InputError, match="case 'case03' is not of exactly one class"):
        classification(make_run("multiclass"), tmp_path)


def test_a_kind_that_does_not_fit_the_labels_is_named(make_run, case_table, tmp_path):
    case_table(SPLITS, {"A": [0] * len(SPLITS), "B": [1] * len(SPLITS)})
    with pytest.raises(InputError, match=r"benchmark\.tiny\.kind"):
        classification(make_run("binary"), tmp_path)


def test_a_probe_that_selects_on_test_cases_never_looks_at_validation_cases(
    make_run, case_table, tmp_path
):
    labels = np.arange(len(SPLITS)) % 2

    def scored(out, flipped, **changes):
        told = [1 - v if s == flipped else v for v, s in zip(labels, SPLITS, strict=True)]
        case_table(SPLITS, {"Nodule": told})
        run = make_run("binary")
        settings = run.settings.model_copy(update=changes)
        classification(run.model_copy(update={"settings": settings}), out)
        return pd.read_csv(out / "predictions.csv")["score:Nodule"].to_numpy()

    sound = [scored(tmp_path / f"sound-{name}", name) for name in ("val", "test")]
    assert not np.array_equal(*sound)
    published = {"select_on": "test"}
    plain = scored(tmp_path / "plain", "", **published)
    assert np.array_equal(plain, scored(tmp_path / "val", "val", **published))
    assert not np.array_equal(plain, scored(tmp_path / "test", "test", **published))


def test_with_drop_path_a_second_run_gives_the_same(make_run, case_table, tmp_path):
    case_table(SPLITS, {"Nodule": list(np.arange(len(SPLITS)) % 2)})
    run = make_run("binary", steps=8)
    dropping = run.settings.model_copy(update={"drop_path": 0.5})
    found = {}
    for name, settings in {"none": run.settings, "first": dropping, "second": dropping}.items():
        torch.manual_seed(len(found))
        classification(run.model_copy(update={"settings": settings}), tmp_path / name)
        found[name] = (tmp_path / name / "predictions.csv").read_bytes()
    assert found["first"] == found["second"] != found["none"]


def test_with_drop_path_features_are_drawn_anew_each_time_and_not_in_eval_mode(make_run):
    run = make_run("binary")
    encoder, arguments = load_encoder(run.weights)
    shape, store = tuple(arguments["volume"]), VolumeStore(run.volumes)
    cases = ["case00", "case01", "case02", "case03"]
    plain = features(encoder, shape, store, cases)
    assert torch.allclose(dropped(encoder, shape, store, cases, [2, 0]), plain[[2, 0]], atol=1e-6)
    encoder.set_drop_path(0.5)
    torch.manual_seed(0)
    first, second = (dropped(encoder, shape, store, cases, range(4)) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(features(encoder, shape, store, cases), plain)


def test_by_scan_the_reconstructions_of_a_scan_are_averaged(make_run, case_table, tmp_path):
    labels = [i // 2 % 2 for i in range(len(SPLITS))]
    table = case_table(SPLITS, {"A": labels})
    # The last six test cases are three scans of two reconstructions each.
    table.loc[34:, "scan"] = ["s1", "s1", "s2", "s2", "", ""]
    table["patient"] = table["scan"].where(table["scan"] != "", table["case"])
    table.to_csv(tmp_path / "cases.csv", index=False)
    by = {}
    for unit in ("volume", "scan"):
        run = make_run("binary")
        settings = run.settings.model_copy(update={"unit": unit})
        classification(run.model_copy(update={"settings": settings}), tmp_path / unit)
        by[unit] = pd.read_csv(tmp_path / unit / "predictions.csv").set_index("case")
    volumes, scans = by["volume"]["score:A"], by["scan"]["score:A"]
    assert len(volumes) == 12 and len(scans) == 10
    assert scans["s1"] == pytest.approx(volumes[["case34", "case35"]].mean(), abs=1e-6)
    assert scans["s2"] == pytest.approx(volumes[["case36", "case37"]].mean(), abs=1e-6)
    assert scans["case38"] == pytest.approx(volumes["case38"], abs=1e-6)
    record = json.loads((tmp_path / "scan/scores.json").read_text())["records"][0]
    assert record["test_cases"] == 10


def test_test_cases_of_patients_whose_other_part_is_in_training_are_named(
    make_run, case_table, tmp_path
):
    patients = [f"p{i}" for i in range(len(SPLITS))]
    patients[0], patients[5], patients[39] = "ann@train", "bob@train", "ann@test"
    case_table(SPLITS, {"A": np.arange(len(SPLITS)) % 2}, patients)
    classification(make_run("binary"), tmp_path)
    assert json.loads((tmp_path / "scores.json").read_text())["leaks"] == ["case39"]


def _with(run, **changes):
    return run.model_copy(update={"settings": run.settings.model_copy(update=changes)})


def test_probes_share_features_and_the_first_is_that_of_the_run_alone(
    make_run, case_table, tmp_path, monkeypatch
):
    case_table(SPLITS, {"A": np.arange(len(SPLITS)) % 2})
    run, read = make_run("binary", (0.5, 1.0)), []
    monkeypatch.setattr(probe, "features", lambda *given: read.append(0) or features(*given))
    classification(run, tmp_path / "one")
    classification(_with(run, probe_seeds=3), tmp_path / "three")
    assert len(read) == 2
    one, three = (pd.read_csv(tmp_path / n / "predictions.csv") for n in ("one", "three"))
    first = three[three["probe"] == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, one)
    half = three[three["fraction"] == 0.5]
    draws = half.pivot_table(index="case", columns="probe", values="score:A")
    assert draws.corr().to_numpy()[np.triu_indices(3, 1)].max() < 1 - 1e-6
    record = json.loads((tmp_path / "three/scores.json").read_text())["records"][0]
    areas = [
        measure(part[["score:A"]].to_numpy(), part[["label:A"]].to_numpy(float), ["A"], "binary")[
            "auroc"
        ]
        for _, part in half.groupby("probe")
    ]
    assert record["metrics"]["auroc"] == pytest.approx(np.mean(areas))


def test_features_are_kept_for_other_probes_of_the_same_encoder_and_volumes_alone(
    make_run, case_table, store, encoder_weights, tmp_path, monkeypatch
):
    case_table(SPLITS, {"A": np.arange(len(SPLITS)) % 2})
    run, read = make_run("binary"), []
    monkeypatch.setattr(probe, "features", lambda *given: read.append(0) or features(*given))
    classification(run, tmp_path)
    scores = (tmp_path / "predictions.csv").read_bytes()
    classification(make_run("binary", lr=0.01), tmp_path)
    assert len(read) == 1
    assert (tmp_path / "predictions.csv").read_bytes() != scores
    (tmp_path / "features/features.safetensors").write_bytes(b"broken")
    classification(run, tmp_path)
    assert len(read) == 2
    assert (tmp_path / "predictions.csv").read_bytes() == scores
    old = VolumeStore(run.volumes)
    volumes = {case: old.read(case) for case in old.cases}
    volumes["case07"] = volumes["case07"] + 1
    other = store("other.zip", volumes)
    classification(run.model_copy(update={"volumes": [other]}), tmp_path)
    assert len(read) == 3
    other = run.model_copy(update={"weights": encoder_weights(depth=1)})
    classification(other, tmp_path)
    assert len(read) == 4
    made_with = {**provenance(), "commit": "another"}
    monkeypatch.setattr(kept, "provenance", lambda: made_with)
    classification(other, tmp_path)
    assert len(read) == 5


def test_an_encoder_that_runs_at_every_step_gives_the_scores_of_features_computed_once(
    make_run, case_table, tmp_path
):
    case_table(SPLITS, {"A": np.arange(len(SPLITS)) % 2})
    run = make_run("binary", steps=12)
    for name, drop_path in (("once", 0.0), ("stepwise", 1e-12)):
        classification(_with(run, drop_path=drop_path), tmp_path / name)
    once, stepwise = (
        pd.read_csv(tmp_path / name / "predictions.csv")["score:A"] for name in ("once", "stepwise")
    )
    np.testing.assert_allclose(once, stepwise, atol=1e-5)
