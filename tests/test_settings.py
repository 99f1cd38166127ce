"""The configuration: what it refuses, and with which words."""

import pytest
import yaml

from simcrop import jobs, plan, runs, settings
from simcrop.errors import InputError


def refusal(config):
    with pytest.raises(InputError) as error:
        settings.load(config)
    return str(error.value)


def test_the_shipped_configuration_is_accepted(raw_config):
    config = settings.load(raw_config)
    assert config.pretrain.encoder.tokens == 6 * 6 * 6
    assert config.methods["simcrop"].objectives.names == [
        "image_reconstruction",
        "report_reconstruction",
        "sentence_alignment",
    ]


@pytest.mark.parametrize("name", ["paper.yaml", "study.yaml", "sample.yaml"])
def test_every_configuration_that_lies_over_it_is_accepted(raw_config, lay_over, root, name):
    lay_over(raw_config, yaml.safe_load((root / "config" / name).read_text()))
    settings.load(raw_config)


def test_the_paper_states_the_published_sizes(raw_config, lay_over, root):
    lay_over(raw_config, yaml.safe_load((root / "config" / "paper.yaml").read_text()))
    config = settings.load(raw_config)
    assert config.pretrain.encoder.tokens == 2744
    assert config.methods["simcrop"].mask_ratio == 0.75
    assert config.methods["simcrop"].objectives.report_reconstruction.feed_forward == 1536
    assert "ct-rate-lesions" not in config.benchmark


def test_an_ablation_is_its_parent_but_for_what_it_states(raw_config):
    config = settings.load(raw_config)
    parent, child = config.methods["simcrop"], config.methods["simcrop-no-report"]
    assert child.objectives.report_reconstruction is None
    assert child.objectives.sentence_alignment == parent.objectives.sentence_alignment
    assert child.mask_ratio == parent.mask_ratio


def test_an_unknown_setting_is_named(raw_config):
    raw_config["pretrain"]["recipe"]["epoch"] = 3
    assert "pretrain.recipe.epoch: unknown setting" in refusal(raw_config)


def test_a_wrong_type_is_named_with_its_value(raw_config):
    raw_config["pretrain"]["recipe"]["lr"] = "fast"
    message = refusal(raw_config)
    assert "pretrain.recipe.lr" in message
    assert "'fast'" in message


def test_every_fault_has_a_line(raw_config):
    raw_config["seeed"] = 1
    raw_config["pretrain"]["recipe"]["lr"] = -1
    assert len(refusal(raw_config).splitlines()) == 3


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("pretrain.encoder.volume", [48, 49, 24], "volume edge 49 along y is no multiple"),
        ("pretrain.encoder.heads", 5, "width 128 is no multiple of heads 5"),
        ("pretrain.cohort", "ct-rat", "'ct-rat' is not among prepare"),
        ("pretrain.methods", ["random", "simcorp"], "'simcorp' is not among methods"),
        ("pretrain.recipe.batch", 33, "batch 33 is no multiple of accumulation 2"),
        ("pretrain.recipe.warmup_epochs", 99, "leave nothing of"),
        ("methods.simcrop.objectives.sentence_alignment.top_k", 109, "108 of 216 patches"),
        ("methods.mae.mask_ratio", 0.001, "0.001 of 216 patches leaves image_reconstruction noth"),
        ("methods.simcrop.mask_ratio", 0.999, "0.999 of 216 patches leaves none visible"),
        ("methods.simcrop.extends", "simcrop-no-report", "extends itself"),
        ("methods.simcrop.extends", "nothing", "there is no method 'nothing'"),
        ("benchmark.btcv.crop", [48, 48, 30], "edge 30 along z is no multiple of the patch edge 4"),
        ("acquire.btcv.source", "folder", "source 'folder' needs 'folder'"),
        ("acquire.btcv.folder", "/data/btcv", "to read that, set source: folder"),
        ("prepare.btcv.dataset", "bctv", "'bctv' is not among acquire"),
    ],
)
def test_an_impossible_setting_is_refused(raw_config, path, value, words):
    raw_config["pretrain"]["recipe"]["accumulation"] = 2
    *parents, key = path.split(".")
    section = raw_config
    for parent in parents:
        section = section.setdefault(parent, {})
    section[key] = value
    assert words in refusal(raw_config)


def test_a_run_read_back_from_its_yaml_is_the_same(raw_config, tmp_path):
    config = settings.load(raw_config)
    run = runs.Encoder(
        name="simcrop",
        seed=1,
        method=config.methods["simcrop"],
        encoder=config.pretrain.encoder,
        spacing=config.prepare["ct-rate"].spacing,
        recipe=config.pretrain.recipe,
        cases="cases.csv",
        sentences="sentences.csv",
        volumes=["volumes.zip"],
        text_encoder="encoder",
    )
    path = tmp_path / "settings.yaml"
    path.write_text(run.yaml())
    assert runs.load(path) == run


def test_a_fraction_survives_the_way_through_yaml(raw_config, tmp_path):
    benchmark = settings.load(raw_config).benchmark["ct-rate"]
    run = runs.Classify(
        benchmark="ct-rate",
        method="mae",
        seed=0,
        weights="w",
        record="r",
        cases="c",
        volumes=["v"],
        settings=benchmark,
    )
    path = tmp_path / "settings.yaml"
    path.write_text(run.yaml())
    assert list(runs.load(path).settings.fractions) == [0.1, 1.0]


def test_a_training_without_a_recipe_is_refused(raw_config, tmp_path):
    method = settings.load(raw_config).methods["simcrop"].model_dump(mode="json")
    stated = {"step": "encoder", "name": "simcrop", "seed": 0, "method": method, "encoder": {}}
    stated |= {"spacing": [1, 1, 1], "cases": "c", "sentences": "s", "volumes": ["v"]}
    stated |= {"text_encoder": None}
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(stated))
    with pytest.raises(InputError, match="encoder: the method has objectives, so it needs a recip"):
        runs.load(tmp_path / "settings.yaml")
    stated["method"] = {"title": "Random weights"}
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(stated))
    assert runs.load(tmp_path / "settings.yaml").recipe is None


def test_a_run_with_an_unknown_step_is_refused(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump({"stage": "pretrain", "step": "dance"}))
    with pytest.raises(InputError, match=r"settings\.yaml cannot be used"):
        runs.load(path)


def test_a_benchmark_may_have_encoders_of_another_cohort(raw_config, lay_over, root):
    lay_over(raw_config, yaml.safe_load((root / "config" / "study.yaml").read_text()))
    config = settings.load(raw_config)
    assert config.encoders("common") == "common"
    assert config.encoders("sparse-lesions") == "sparse"
    paths = plan.encoders(config)
    assert "results/pretrain/sparse/simcrop/2/weights.safetensors" in paths
    seeds, ablated = len(config.pretrain.seeds), len(config.ablation_seeds)
    ablations = len(config.pretrain.ablations)
    assert len(paths) == len(set(paths)) == 2 * 5 * seeds + ablations * ablated

    def benchmarks(table):
        return {path.split("/")[2] for path in plan.scores(config, table)}

    assert benchmarks("difference") == {"common", "sparse"}
    assert benchmarks("localisation") == {"common-lesions", "sparse-lesions"}
    assert benchmarks("ablation") == {"common", "common-lesions"}


def test_the_study_runs_every_ablation_that_there_is(raw_config, lay_over, root):
    lay_over(raw_config, yaml.safe_load((root / "config" / "study.yaml").read_text()))
    config = settings.load(raw_config)
    every = {name for name in config.methods if name.startswith("simcrop-")}
    assert set(config.pretrain.ablations) == every


def test_encoders_of_an_unknown_cohort_are_refused(raw_config):
    raw_config["benchmark"]["luna16"]["encoders"] = "nowhere"
    assert "benchmark.luna16.encoders: 'nowhere'" in refusal(raw_config)


def test_a_dataset_has_the_layout_that_it_names(raw_config):
    raw_config["acquire"]["mine"] = {"layout": "ct-rate"}
    raw_config["prepare"]["mine"] = {"spacing": [7, 7, 14]}
    config = settings.load(raw_config)
    assert (config.layout("mine"), config.layout("btcv")) == ("ct-rate", "btcv")
    assert config.raw("mine") == "results/acquire/mine/raw"


def test_ablations_may_be_run_with_fewer_seeds(raw_config):
    raw_config["pretrain"] |= {"seeds": [0, 1, 2], "ablation_seeds": [1]}
    config = settings.load(raw_config)
    methods = {"simcrop", *config.pretrain.ablations}
    runs_of = {tuple(path.split("/")[3:5]) for path in plan.scores(config, "ablation")}
    assert runs_of == {(method, "1") for method in methods}
    trained = {tuple(path.split("/")[3:5]) for path in plan.encoders(config)}
    assert trained >= runs_of | {("simcrop", "0"), ("simcrop", "2")}
    assert ("simcrop-no-image", "0") not in trained
    raw_config["pretrain"]["ablation_seeds"] = [7]
    assert "ablation_seeds: [7]" in refusal(raw_config)


def test_methods_start_from_the_weights_they_name_and_random_ones_from_none(raw_config):
    raw_config["pretrain"]["weights"] = "data/mae.pth"
    raw_config["methods"]["published"] = {"title": "Published", "weights": "data/simcrop.pth"}
    raw_config["pretrain"]["methods"].append("published")
    config = settings.load(raw_config)
    starts = {name: plan.start(config, name) for name in ("random", "simcrop", "published")}
    expected = {"random": None, "simcrop": "data/mae.pth", "published": "data/simcrop.pth"}
    assert starts == expected
    for name, place in expected.items():
        assert plan.start_file(config, name) == ([place] if place else [])


def test_a_repository_of_the_hub_is_no_file_that_a_job_waits_for(raw_config):
    raw_config["methods"]["mine"] = {"title": "Mine", "weights": "me/ct@v2"}
    config = settings.load(raw_config)
    assert plan.start(config, "mine") == "me/ct@v2"
    assert plan.start_file(config, "mine") == []


def test_a_compared_method_is_in_every_table_and_what_extends_it_is_not(raw_config):
    mine = {"extends": "simcrop", "title": "Mine", "compared": True}
    raw_config["methods"]["mine"] = mine
    raw_config["methods"]["mine-too"] = {"extends": "mine", "title": "Mine too"}
    before = list(raw_config["pretrain"]["methods"])
    config = settings.load(raw_config)
    assert config.pretrain.methods == [*before, "mine"]
    for table in plan.COMPARISON:
        assert any("/mine/" in path for path in plan.scores(config, table)), table
    assert jobs.titles(config)["mine"] == "Mine"
    assert not any("/mine-too/" in path for path in plan.encoders(config))


def test_zero_shot_is_asked_of_methods_that_compare_texts_with_volumes(raw_config):
    raw_config["benchmark"]["ct-rate"]["zero_shot"] = {}
    config = settings.load(raw_config)
    names = ("random", "mae", "masked-records", "global-contrast", "simcrop")
    able = [name for name in names if plan.zero_shot(config, "ct-rate", name)]
    assert able == ["global-contrast", "simcrop"]
    assert plan.zero_shot(config, "radchestct", "simcrop") == []
    raw_config["benchmark"]["cc-ccii"]["zero_shot"] = {}
    assert "zero_shot asks label by label" in refusal(raw_config)


def test_choosing_on_the_test_cases_is_refused_unless_the_protocol_is_the_published_one(raw_config):
    raw_config["benchmark"]["radchestct"]["select_on"] = "test"
    assert "benchmark.radchestct.select_on: a state chosen on the test cases" in refusal(raw_config)
    config = settings.load({**raw_config, "protocol": "published"})
    assert config.benchmark["radchestct"].select_on == "test"


def test_encoders_of_another_cohort_of_the_same_dataset_are_held_against_the_test_cases(raw_config):
    raw_config["prepare"]["luna16-fine"] = {"dataset": "luna16", "spacing": [7, 7, 7]}
    raw_config["benchmark"]["luna16-lungs"]["cohort"] = "luna16-fine"
    raw_config["benchmark"]["luna16-lungs"]["encoders"] = "luna16"
    config = settings.load(raw_config)
    found = plan.trained_on(config, "luna16-lungs", "simcrop")
    assert found == ["results/prepare/luna16/cases.csv"]
    assert plan.trained_on(config, "luna16-lungs", "random") == []  # it was trained on nothing
    assert plan.trained_on(config, "ct-rate", "simcrop") == []  # within a cohort, splits divide
    assert plan.trained_on(config, "btcv", "simcrop") == []  # patients of another dataset


def test_a_title_is_not_inherited_and_tells_one_method_or_benchmark(raw_config):
    raw_config["methods"]["mine"] = {"extends": "simcrop", "compared": True}
    assert "methods.mine.title: Field required" in refusal(raw_config)
    raw_config["methods"]["mine"]["title"] = "SimCroP"
    assert "methods.mine.title: 'SimCroP' is the title of simcrop too" in refusal(raw_config)
    raw_config["methods"]["mine"]["title"] = "Mine"
    raw_config["benchmark"]["radchestct"]["title"] = "CT-RATE"
    told = "benchmark.radchestct.title: 'CT-RATE' is the title of ct-rate too"
    assert told in refusal(raw_config)


def test_a_name_is_that_of_a_method_or_of_a_benchmark(raw_config):
    raw_config["methods"]["ct-rate"] = {"title": "Mine"}
    assert "methods.ct-rate: a benchmark has this name too" in refusal(raw_config)
