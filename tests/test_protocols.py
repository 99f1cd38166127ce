"""The published protocol: what it sets, what stands above it, and that it can be run."""

import pytest

from simcrop import jobs, settings


def test_sound_is_what_the_settings_say_by_default(raw_config):
    assert settings.load({**raw_config, "protocol": "sound"}) == settings.load(raw_config)


def test_published_sets_every_fault_of_the_public_code(raw_config):
    config = settings.load({**raw_config, "protocol": "published"})
    pretrain, objectives = config.pretrain, config.methods["simcrop"].objectives
    assert pretrain.encoder.positions == "rows_columns"
    assert (pretrain.recipe.flip_left_right, pretrain.recipe.padding) == (0.2, "reflect")
    assert objectives.image_reconstruction.mean_over == "all"
    assert objectives.report_reconstruction.mean_over == "all"
    assert objectives.sentence_alignment.negatives == "report"
    assert objectives.sentence_alignment.padding
    assert config.benchmark["ct-rate"].drop_path == 0.1
    assert config.benchmark["btcv"].background and config.benchmark["btcv"].flip_left_right
    chosen = {name: getattr(entry, "select_on", None) for name, entry in config.benchmark.items()}
    on_test = {name for name, value in chosen.items() if value == "test"}
    assert on_test == {"ct-rate", "cc-ccii", "luna16", "luna16-lungs", "btcv"}


def test_what_is_written_stands_above_the_protocol(raw_config):
    raw_config["pretrain"]["recipe"]["flip_left_right"] = 0.0
    raw_config["benchmark"]["ct-rate"]["select_on"] = "validation"
    alignment = raw_config["methods"]["simcrop"]["objectives"]["sentence_alignment"]
    alignment["negatives"] = "batch"
    config = settings.load({**raw_config, "protocol": "published"})
    assert config.pretrain.recipe.flip_left_right == 0
    assert config.benchmark["ct-rate"].select_on == "validation"
    assert config.methods["simcrop"].objectives.sentence_alignment.negatives == "batch"
    assert config.pretrain.recipe.padding == "reflect"


def test_an_unknown_protocol_is_refused_by_name(raw_config):
    with pytest.raises(settings.InputError, match=r"protocol.*'sloppy'"):
        settings.load({**raw_config, "protocol": "sloppy"})


def test_tables_name_the_protocol(raw_config):
    config = settings.load({**raw_config, "protocol": "published"})
    wildcards = type("Wildcards", (), {"table": "classification"})
    built = jobs.table(config)(wildcards, {"scores": []})
    assert "protocol: published" in built
