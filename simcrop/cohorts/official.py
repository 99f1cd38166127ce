"""The lists of cases that the paper's authors published, of the commit and content pinned here.

They are kept as they are, with their faults: validation is the test list in CT-RATE, CC-CCII and
LUNA16, RadChestCT's two effusions are equal in every row, patients of CC-CCII stand in training and
test, and of BTCV only the 6 validation cases have labels, which are its test cases here.
"""

import hashlib
import io
import json
import re
from pathlib import Path

import pandas as pd

from simcrop import files, remote
from simcrop.errors import InputError
from simcrop.formats import cases

COMMIT = "b10fd08783b8b4eb7014580a5646ba73f9f242b4"
_ADDRESS = "https://raw.githubusercontent.com/ToniChopp/SimCroP/{commit}/Down-stream/{path}"
_FOLDERS = {
    "classification": "Classification_Linear/datasets",
    "segmentation": "Segmentation/datasets",
}

# dataset → split → path and SHA-256
FILES = {
    "ct-rate": {
        "train": (
            "classification/CT-Rate/train_list.csv",
            "e0482330934158ebaa42abff2d9b0d9d83f427bea0a12ac021c6320c8680021f",
        ),
        "val": (
            "classification/CT-Rate/val_list.csv",
            "507ab69d1288af30c39914e90954900d95fe96aafea7959246cfe6552a766093",
        ),
        "test": (
            "classification/CT-Rate/test_list.csv",
            "507ab69d1288af30c39914e90954900d95fe96aafea7959246cfe6552a766093",
        ),
    },
    "radchestct": {
        "train": (
            "classification/RadChestCT/train_list.csv",
            "39d265646e4a5ac88296f02d2596cf91526ad5ab8ad1a0f65a05cabe31e2f48a",
        ),
        "val": (
            "classification/RadChestCT/val_list.csv",
            "1a982d6ce1437a2699c578bda372e45fcd89368ee856ed1036c37f82d8823e74",
        ),
        "test": (
            "classification/RadChestCT/test_list.csv",
            "9805368fd542ca033fe82b01495632c326f34dd9cdc015f8c34ef38ea633bf58",
        ),
    },
    "cc-ccii": {
        "train": (
            "classification/CC-CCII/train_list.csv",
            "da033dbcee9fa2bf0ba8ccfed3f234cbaa72533563752e3d3d91faf313de58d5",
        ),
        "val": (
            "classification/CC-CCII/val_list.csv",
            "f32df0d9602a00b27fb898350787fa487192bfcbe9b55c3807958055ac3fa604",
        ),
        "test": (
            "classification/CC-CCII/test_list.csv",
            "f32df0d9602a00b27fb898350787fa487192bfcbe9b55c3807958055ac3fa604",
        ),
    },
    "luna16": {
        "train": (
            "classification/LUNA16/train_list.csv",
            "c73584b65ad47b5737acc3b66a813f2869b60ce0f3a45351a8c3c3a9d6e0fa64",
        ),
        "val": (
            "classification/LUNA16/val_list.csv",
            "bd26d0bf1b71bb4823889d193f5d20b94424e0cc57d7d02b1e1caae22395e0dd",
        ),
        "test": (
            "classification/LUNA16/test_list.csv",
            "bd26d0bf1b71bb4823889d193f5d20b94424e0cc57d7d02b1e1caae22395e0dd",
        ),
    },
    "btcv": {
        "all": (
            "segmentation/BTCV/dataset.json",
            "5e97b4f569f678bb4bd21f83b3998b9f09941c6b1d27e1cb6d5466e865dec379",
        ),
    },
}
# What the lists call otherwise than the suite.
_LABELS = {"Hietal Hernia": "Hiatal hernia"}


def fetch(dataset: str, folder: Path, copy: Path | None = None) -> None:
    """Put the lists of `dataset` into `folder`, from their repository or from a `copy` of it.

    Raises:
        InputError: a list is missing, or is not the one that is pinned.
    """
    for path, digest in FILES[dataset].values():
        if copy is None:
            task, rest = path.split("/", 1)
            url = _ADDRESS.format(commit=COMMIT, path=f"{_FOLDERS[task]}/{rest}")
            file = remote.File(path, -1, f"sha256:{digest}", url)
            remote.download(remote.Host("open"), file, folder / path)
            continue
        try:
            content = (copy / path).read_bytes()
        except OSError as error:
            raise InputError(f"{copy / path}: cannot be read ({error}); mend official") from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise InputError(f"{copy / path}: is not the list of commit {COMMIT[:7]}; take that")
        with files.whole(folder / path) as temporary:
            temporary.write_bytes(content)


def read(dataset: str, folder: Path) -> dict[str, pd.DataFrame]:
    """The lists by split: a row a case, its name the index, with the labels that are named in it.

    Labels of CC-CCII and LUNA16 are numbers without a name there, and left out.
    """
    lists = {}
    for split, (path, _) in FILES[dataset].items():
        content = (folder / path).read_text(encoding="utf-8")
        if path.endswith(".json"):
            entries = json.loads(content)
            for name, key in (("train", "training"), ("test", "validation")):
                names = [Path(entry["image"]).name for entry in entries[key]]
                lists[name] = pd.DataFrame(index=pd.Index(map(_case, names)))
            continue
        table = pd.read_csv(io.StringIO(content), index_col=0)
        table.index = table.index.astype(str).map(_case)
        table = table.drop(columns="label", errors="ignore").rename(columns=_LABELS)
        lists[split] = table.astype(float).add_prefix(cases.LABEL)
    return lists


def applied(table: pd.DataFrame, lists: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """A case table with the splits of the lists, and with their labels where they name any.

    A case of two lists belongs to the later one, so that a validation list which is the test list
    leaves no validation case. Cases that no list has belong to no split. Where a patient stands in
    two lists, it counts as one patient a list; see `simcrop.formats.cases`.

    Raises:
        InputError: no case of a list is in the table.
    """
    table = table.copy()
    table["split"] = ""
    keys = table["case"].map(_case)
    for split, listed in lists.items():
        found = keys.isin(listed.index)
        if not found.any():
            raise InputError(
                f"none of the {len(listed)} cases of the official {split} list is among "
                f"{len(table)} cases such as '{table['case'].iloc[0]}'; set splits: sound"
            )
        table.loc[found, "split"] = split
        for label in listed.columns.intersection(table.columns):
            table.loc[found, label] = listed[label].reindex(keys[found]).to_numpy()
        print(f"official {split} list: {found.sum()} of {len(listed)} cases are there")
    parts = cases.parted(table)
    torn = parts["patient"] != table["patient"]
    if torn.any():
        count = table.loc[torn, "patient"].nunique()
        print(f"{count} patients stand in two lists; each counts as one patient a list here")
    return parts


def _case(name: str) -> str:
    """A case as the lists and the suite both name it: btcv_001 is img0001."""
    name = name.removesuffix(".nii.gz")
    if found := re.fullmatch(r"btcv_(\d+)", name):
        return f"img{int(found[1]):04d}"
    return name
