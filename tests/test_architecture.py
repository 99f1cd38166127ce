"""Who may import whom, and that the two lists of dependencies agree."""

import ast
import re
import tomllib

import yaml

STAGES = {"acquire", "prepare", "pretrain", "benchmark", "report"}
GROUND = {"errors", "files", "progress", "provenance", "sections", "tasks"}
GROUND |= {"settings", "runs", "formats", "remote", "hub", "processes", "checkpoints", "monitor"}
MAY_IMPORT = {
    "models": {"models"},
    "remote": {"errors", "remote"},
    "cohorts": GROUND | {"cohorts"},
    **{stage: GROUND | {"cohorts", "models", stage} for stage in STAGES},
}


def imported(path):
    """The modules of simcrop that a file imports, by the first part of their name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("simcrop"):
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("simcrop."):
                    yield alias.name.split(".")[1]


def test_no_stage_imports_another_and_models_import_only_models(root):
    wrong = [
        f"{path.relative_to(root)} imports {name}"
        for package, allowed in MAY_IMPORT.items()
        for path in (root / "simcrop" / package).rglob("*.py")
        for name in imported(path)
        if name not in allowed
    ]
    assert wrong == []


def test_conda_and_pip_ask_for_the_same_packages(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    pip = {*project["dependencies"], *project["optional-dependencies"]["test"]}
    conda = yaml.safe_load((root / "environment.yml").read_text())["dependencies"]
    names = {
        "pytorch": "torch",
        "python-blosc2": "blosc2",
        "python-isal": "isal",
        "huggingface_hub": "huggingface-hub",
    }
    renamed = set()
    for entry in conda:
        name, version = re.fullmatch(r"([a-z0-9_-]+)(.*)", entry).groups()
        renamed.add(names.get(name, name) + version)
    assert renamed == pip | {f"python{project['requires-python']}"}


def test_the_lock_file_meets_every_range(root):
    locked = {}
    for line in (root / "requirements.lock").read_text().splitlines():
        name, _, version = line.partition("==")
        locked[name.lower().replace("_", "-")] = tuple(map(int, re.findall(r"\d+", version)))
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    for entry in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
        name, least = entry.split(">=")
        assert locked[name.lower()] >= tuple(map(int, least.split("."))), entry
