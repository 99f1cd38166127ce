"""Which settings start which jobs anew, and how many jobs a full-size configuration has."""

from types import SimpleNamespace

import pytest
import yaml

from simcrop import jobs, runs, settings

STEPS = {"index": jobs.index, "volumes": jobs.volumes, "collect": jobs.collect}
WILDCARDS = SimpleNamespace(cohort="btcv", shard="0")


def triggers(raw_config, **prepare):
    entry = raw_config["prepare"]["btcv"] | prepare
    config = settings.load({**raw_config, "prepare": {**raw_config["prepare"], "btcv": entry}})
    return {name: jobs.trigger(step(config))(WILDCARDS) for name, step in STEPS.items()}


@pytest.mark.parametrize(
    ("key", "value", "again"),
    [
        ("processes", 4, set()),
        ("max_set_aside", 0.5, {"collect"}),
        ("spacing", [8, 8, 16], {"volumes"}),
        ("shards", 3, {"volumes"}),
        ("validation", 0.2, {"index"}),
        ("test", 0.3, {"index"}),
    ],
)
def test_a_setting_of_a_cohort_starts_only_the_steps_that_depend_on_it(
    raw_config, key, value, again
):
    before, after = triggers(raw_config), triggers(raw_config, **{key: value})
    assert {name for name in STEPS if before[name] != after[name]} == again


def test_a_job_is_told_how_many_processes_it_may_start(raw_config):
    raw_config["prepare"]["btcv"]["processes"] = 4
    build = jobs.volumes(settings.load(raw_config))
    stated = yaml.safe_load(build(WILDCARDS, {"record": "r.csv", "cases": "c.csv"}))
    assert stated["processes"] == 4


@pytest.mark.parametrize(
    ("path", "value", "anew"),
    [
        ("methods.simcrop.title", "Ours", False),
        ("methods.simcrop.compared", True, False),
        ("pretrain.recipe.checkpoint_minutes", 5, False),
        ("pretrain.recipe.checkpoint_epochs", 1, False),
        ("pretrain.recipe.lr", 0.5, True),
        ("methods.simcrop.mask_ratio", 0.6, True),
    ],
)
def test_a_training_starts_anew_for_what_changes_its_result_alone(raw_config, path, value, anew):
    def trigger_of(method):
        build = jobs.trigger(jobs.encoder(settings.load(raw_config)))
        return build(SimpleNamespace(cohort="ct-rate", method=method, seed="0"))

    before, untrained = trigger_of("simcrop"), trigger_of("random")
    *parents, key = path.split(".")
    section = raw_config
    for parent in parents:
        section = section.setdefault(parent, {})
    section[key] = value
    assert (trigger_of("simcrop") != before) is anew
    assert trigger_of("random") == untrained


def test_a_benchmark_starts_anew_for_what_changes_its_result_alone(raw_config):
    def trigger():
        build = jobs.trigger(jobs.evaluation(settings.load(raw_config), runs.Segment))
        return build(SimpleNamespace(benchmark="btcv", method="simcrop", seed="0"))

    before = trigger()
    raw_config["benchmark"]["btcv"] |= {"title": "Abdomen", "checkpoint_minutes": 5}
    assert trigger() == before
    raw_config["benchmark"]["btcv"]["lr"] = 0.5
    assert trigger() != before
