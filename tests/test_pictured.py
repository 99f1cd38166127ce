"""What the figures of a configuration are, and which settings its ablations vary."""

from simcrop import pictured, settings


def configured(root, *names):
    files = ("methods.yaml", "config.yaml", *names)
    return settings.read([root / "config" / name for name in files])


def test_a_sweep_takes_its_values_from_the_settings_and_k_in_patches(root):
    config = configured(root, "study.yaml")
    found = {sweep.axis: sweep.values for sweep in pictured.sweeps(config)}
    # 120 patches of which half are visible; a quarter of these are 15.
    assert found == {
        "K (patches)": {"simcrop": 4, "simcrop-k-1": 1, "simcrop-k-25": 15, "simcrop-k-all": 60},
        "Masked patches (%)": {"simcrop": 50, "simcrop-mask-25": 25, "simcrop-mask-90": 90},
        "Masked words (%)": {"simcrop": 75, "simcrop-words-25": 25},
    }


def test_a_method_that_differs_in_two_settings_is_in_no_sweep(raw_config, lay_over):
    other = {"extends": "simcrop", "title": "two", "mask_ratio": 0.6}
    other["objectives"] = {"sentence_alignment": {"top_k": 2}}
    lay_over(raw_config, {"methods": {"two": other}, "pretrain": {"ablations": ["two"]}})
    assert pictured.sweeps(settings.load(raw_config)) == []


def test_an_ablation_that_is_compared_too_stays_in_its_sweep(raw_config, lay_over):
    other = {"extends": "simcrop", "title": "K = 8", "compared": True}
    other["objectives"] = {"sentence_alignment": {"top_k": 8}}
    lay_over(raw_config, {"methods": {"k-8": other}, "pretrain": {"ablations": ["k-8"]}})
    (sweep,) = pictured.sweeps(settings.load(raw_config))
    assert sweep.values == {"simcrop": 4, "k-8": 8}


def test_every_figure_has_a_kind_with_a_caption_and_names_its_benchmark(root):
    config = configured(root, "study.yaml")
    names = pictured.names(config)
    assert {"ablation_sweeps", "per_label_difference_sparse"} <= set(names)
    assert "ablation_sweeps" not in pictured.of_comparison(config)  # which waits for no ablation
    for name in names:
        assert (root / "workflow" / "report" / f"{pictured.kind(name)}.rst").is_file()
    labels = pictured.labels(config, "similarity_sparse-lesions")
    assert labels == {"title": "Similarity", "benchmark": "Sparse, lesions", "method": "SimCroP"}
    assert pictured.labels(config, "label_efficiency")["benchmark"] == "all"
