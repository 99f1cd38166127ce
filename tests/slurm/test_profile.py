"""That the Slurm profile knows the rules there are, and gives a GPU to those that want one."""

import re

import pytest
import yte


@pytest.fixture
def profile(root):
    """The profile as Snakemake reads it, with some of its settings edited."""

    def read(edit=lambda text: text, **edited):
        text = edit((root / "slurm" / "config.yaml").read_text())
        for name, value in edited.items():
            text, found = re.subn(rf"(?m)^  {name}: .*$", f"  {name}: {value}", text)
            assert found == 1, name
        return yte.process_yaml(text, require_use_yte=True)

    return read


def rules(root) -> dict[str, str]:
    """The text of each rule, by its name."""
    text = "".join(path.read_text() for path in (root / "workflow/rules").glob("*.smk"))
    parts = re.split(r"(?m)^ *rule (\w+):$", text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_rules_with_a_gpu_go_to_its_partition_and_no_others(root, profile):
    wanting = {name for name, text in rules(root).items() if "gpu=1" in text}
    assert "pretrain_encoder" in wanting
    read = profile(gpu_partition="a100", cpu_partition="batch")
    assert set(read["set-resources"]) == wanting
    partitions = {entry["slurm_partition"] for entry in read["set-resources"].values()}
    assert partitions == {"a100"}
    assert read["default-resources"]["slurm_partition"] == "batch"


def test_a_training_on_several_gpus_asks_for_all_it_uses(profile):
    read = profile(pretrain_gpus=4, cpus_per_gpu=8, mem_mb_per_gpu=1000)
    training = read["set-resources"]["pretrain_encoder"]
    assert (training["nodes"], training["gpu"], training["processes"]) == (1, 4, 4)
    assert (training["cpus_per_task"], training["mem_mb"]) == (32, 4000)
    assert not {"gres", "mpi"} & set(training)


def test_on_several_nodes_it_asks_each_for_its_gpus_and_calls_srun_itself(profile):
    read = profile(pretrain_nodes=2, pretrain_gpus=4, cpus_per_gpu=8, mem_mb_per_gpu=1000)
    training = read["set-resources"]["pretrain_encoder"]
    asked = {"nodes": 2, "tasks": 2, "mpi": "srun", "gpu": 0, "gres": "gpu:4", "tasks_per_gpu": 0}
    asked |= {"processes": 4, "cpus_per_task": 32, "mem_mb": 4000}
    assert asked.items() <= training.items()


def test_a_fine_tuning_on_two_gpus_as_the_documentation_has_it_asks_for_all_it_uses(root, profile):
    told = (root / "docs/cluster.md").read_text()
    (block,) = re.findall(r"(?m)^ {4}(  benchmark_segmentation:\n(?: {8}.*\n)+)", told)
    block = block.replace("\n    ", "\n")
    line = "  benchmark_segmentation: *one_gpu\n"
    read = profile(lambda text: text.replace(line, block), cpus_per_gpu=8, mem_mb_per_gpu=1000)
    assert read["set-resources"]["benchmark_segmentation"] == {
        **read["set-resources"]["benchmark_classification"],
        "gpu": 2,
        "processes": 2,
        "cpus_per_task": 16,
        "mem_mb": 2000,
    }
