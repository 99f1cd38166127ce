"""What made a result: the version of this code, of the libraries below it, and the device."""

import subprocess
from importlib.metadata import version
from pathlib import Path

import simcrop

LIBRARIES = ("torch", "monai", "numpy")


def provenance() -> dict[str, str | None]:
    """Version, git commit (None outside a clone, `-dirty` if changed), libraries and device."""
    import torch

    return {
        "simcrop": simcrop.__version__,
        "commit": _commit(Path(simcrop.__file__).parents[1]),
        **{name: version(name) for name in LIBRARIES},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def _commit(root: Path) -> str | None:
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run([*command, "--exclude=*"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
