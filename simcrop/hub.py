"""Trained weights as a repository of the Hugging Face hub: how they are laid out, sent and fetched.

config.json holds the settings of the run, model.safetensors its weights, text_encoder/ the frozen
BERT that alignment needs, README.md the model card.
"""

import json
import re
import shutil
import tempfile
from pathlib import Path

import yaml

from simcrop import __version__, files
from simcrop.errors import InputError
from simcrop.formats import weights as format_

MODEL, TEXT_ENCODER = "model.safetensors", "text_encoder"
_WEIGHTS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
_REPOSITORY = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w.-]+))?")


def export(weights: str | Path, folder: str | Path, text_encoder: str | Path | None = None) -> None:
    """Lay weights.safetensors of a run out as a repository.

    Args:
        text_encoder: its folder, where it lies elsewhere than in training.

    Raises:
        InputError: the weights or their text encoder cannot be read.
    """
    folder = Path(folder)
    _, settings = format_.load(weights)
    text = text_encoder or settings.get("text_encoder")
    if text and not Path(text).is_dir():
        raise InputError(f"{text}: no such folder; name the text encoder of {weights}")
    folder.mkdir(parents=True, exist_ok=True)
    with files.whole(folder / MODEL) as temporary:
        shutil.copyfile(weights, temporary)
    if text:
        shutil.copytree(text, folder / TEXT_ENCODER, dirs_exist_ok=True)
    files.write_text(folder / "config.json", json.dumps(settings, indent=2) + "\n")
    files.write_text(folder / "README.md", _card(settings, bool(text)))


def push(weights: str | Path, repository: str, text_encoder: str | Path | None = None) -> str:
    """Send weights to the hub, into a private repository if there is none; returns its address.

    The token is the one of `hf auth login` or of HF_TOKEN.

    Raises:
        InputError: nothing to send, or the hub refuses it.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    with tempfile.TemporaryDirectory() as folder:
        export(weights, folder, text_encoder)
        try:
            address = api.create_repo(repository, private=True, exist_ok=True)
            api.upload_folder(
                repo_id=repository, folder_path=folder, commit_message="Weights and model card"
            )
        except Exception as error:  # what cannot be reached fails in the HTTP client's own ways
            raise InputError(
                f"{repository}: the hub did not take it ({type(error).__name__}); log in with "
                "'hf auth login' and name a repository of your own as OWNER/NAME"
            ) from error
    return str(address)


def fetch(repository: str | Path, revision: str | None = None) -> Path:
    """The folder of a repository: itself where it is one here, or fetched from the hub.

    Raises:
        InputError: there is none, or it holds no weights.
    """
    from huggingface_hub import snapshot_download

    folder = Path(repository)
    if not folder.is_dir():
        try:
            wanted = [MODEL, "config.json", f"{TEXT_ENCODER}/*"]
            folder = Path(
                snapshot_download(str(repository), revision=revision, allow_patterns=wanted)
            )
        except Exception as error:
            raise InputError(
                f"{repository}: neither a folder here nor a repository of the hub that can be "
                f"reached ({type(error).__name__}); look at its name and at HF_TOKEN"
            ) from error
    if not (folder / MODEL).is_file():
        raise InputError(f"{repository}: holds no {MODEL}; send it with 'simcrop push'")
    return folder


def is_repository(place: str) -> bool:
    """Whether weights are named as OWNER/NAME or OWNER/NAME@REVISION, and not as a file."""
    return bool(_REPOSITORY.fullmatch(place)) and not place.endswith(_WEIGHTS)


def weights_file(place: str) -> Path:
    """The file of weights at `place`: itself, or that of a repository, fetched from the hub.

    A repository gives its model.safetensors, or else the one file of weights that it holds. Where
    the hub cannot be reached, what was fetched before is taken.

    Raises:
        InputError: it cannot be reached, or has no such file or several.
    """
    from huggingface_hub import hf_hub_download

    if not is_repository(place):
        return Path(place)
    name, revision = _REPOSITORY.fullmatch(place).groups()
    try:
        held = _held(name, revision)
        file = MODEL if MODEL in held else held[0] if len(held) == 1 else None
        if file is None:
            told = ", ".join(held[:5]) or "none"
            raise InputError(
                f"{place}: holds no {MODEL} and not one file of weights (found: {told}); fetch the "
                "one you mean and name its path"
            )
        return Path(hf_hub_download(name, file, revision=revision))
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{place}: no repository of the hub that can be reached ({type(error).__name__}); "
            f"look at its name and at HF_TOKEN; a file here ends in {', '.join(_WEIGHTS)}"
        ) from error


def _held(name: str, revision: str | None) -> list[str]:
    """The files of weights in a repository; without the hub, those that were fetched before."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        every = HfApi().list_repo_files(name, revision=revision)
    except Exception as error:
        try:
            folder = Path(snapshot_download(name, revision=revision, local_files_only=True))
        except LocalEntryNotFoundError:
            raise error from None
        every = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    return sorted(file for file in every if file.endswith(_WEIGHTS))


def _card(settings: dict, text: bool) -> str:
    head = {
        "library_name": "simcrop",
        "pipeline_tag": "feature-extraction",
        "tags": ["ct", "chest", "medical-imaging", "vision-transformer"],
    }
    method = settings["method"]
    located = '\nfound = encoder.locate("ct.nii.gz", "A nodule in the left upper lobe.")'
    aligned = text and method["objectives"].get("sentence_alignment")
    return f"""---
{yaml.safe_dump(head, sort_keys=False).strip()}
---

# {method.get("title", "Encoder")}

A 3D vision transformer for chest CT, pre-trained with the simcrop suite {__version__}. It reads
volumes at {" x ".join(f"{edge:g}" for edge in settings.get("spacing") or [])} mm, RAS, in HU.

```python
from simcrop.inference import Encoder
encoder = Encoder.from_pretrained("OWNER/NAME")
vector = encoder.embed("ct.nii.gz"){located if aligned else ""}
```

Not a medical device. Settings of its training:

```yaml
{yaml.safe_dump(settings, sort_keys=False, width=100).strip()}
```
"""
