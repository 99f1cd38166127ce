"""The audit's page: whole, escaped, and with pictures that open."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from simcrop.formats import cases
from simcrop.formats.volumes import VolumeStore, VolumeWriter
from simcrop.prepare import audit as audits
from simcrop.prepare import findings, page

VOID = {"meta", "img", "link", "br"}


class Balanced(HTMLParser):
    """Fails where a tag is closed that was not opened last; keeps the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def made(tmp_path) -> str:
    names = ["c0", "c1", "<b>c2"]
    table = pd.DataFrame({"case": names}).reindex(
        columns=[*cases.TEXT, *cases.HINTS], fill_value=""
    )
    table["patient"] = table["scan"] = table["case"]
    table["path"], table["split"] = "x", ["train", "train", "test"]
    table["label:Lung nodule"] = [1.0, 0.0, np.nan]
    audit = pd.DataFrame({"case": names}).reindex(columns=[*audits.COLUMNS], fill_value="")
    audit.loc[1, "note"] = "blank header, geometry is that of the metadata"
    audit.loc[2, "reason"] = "holds <script>NaN</script>"
    audit.loc[:1, "raw_shape"] = audit.loc[:1, "shape"] = ["8 9 7", "8 9 9"]
    rng = np.random.default_rng(0)
    with VolumeWriter(tmp_path / "volumes.zip") as store:
        for name in names[:2]:
            store.add(name, rng.integers(-1000, 400, (8, 9, 7)).astype(np.int16), np.eye(4))
    found = findings.findings(table, audit)
    store = VolumeStore(tmp_path / "volumes.zip")
    for name in ("a.html", "b.html"):
        page.write(tmp_path / name, "mine", table, audit, found, store)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    return (tmp_path / "a.html").read_text(encoding="utf-8")


def test_it_is_whole_and_says_what_was_found(made):
    parser = Balanced()
    parser.feed(made)
    assert parser.open == []
    for told in ("Audit of mine", "Lung nodule", "1 / 1 / 0", "stored voxels, axis 1"):
        assert told in parser.text
    assert "http" not in made and "<script" not in made


def test_names_and_reasons_are_escaped_and_every_case_set_aside_is_there(made):
    parser = Balanced()
    parser.feed(made)
    assert "<b>c2" in parser.text and "holds <script>NaN</script>" in parser.text
    assert "<b>c2" not in made and "<script>NaN" not in made


def test_volumes_that_are_odd_come_after_faults_and_odd_reports_are_not_drawn(tmp_path):
    names = [f"c{i}" for i in range(6)]
    audit = pd.DataFrame({"case": names}).reindex(columns=[*audits.COLUMNS], fill_value="")
    audit.loc[[0, 1, 2], "note"] = [
        "no findings; no impression",
        "8-bit greys and no HU (no more than 256 values)",
        "blank header, geometry is that of the metadata; no findings",
    ]
    told = [("spacing far from the median", "note", "c3"), ("two are equal", "fault", "c4; gone")]
    found = pd.DataFrame(
        [(name, severity, 1, examples, "kept") for name, severity, examples in told],
        columns=findings.COLUMNS,
    )
    with VolumeWriter(tmp_path / "volumes.zip") as store:
        for name in names:
            store.add(name, np.zeros((8, 9, 7), np.int16), np.eye(4))
    store = VolumeStore(tmp_path / "volumes.zip")
    table = pd.DataFrame({"case": names}).reindex(
        columns=[*cases.TEXT, *cases.HINTS], fill_value=""
    )
    drawn = []
    for part in (found, found.iloc[:0]):
        page.write(tmp_path / "a.html", "mine", table, audit, part, store)
        text = (tmp_path / "a.html").read_text(encoding="utf-8")
        drawn.append(re.findall(r'alt="middle slices of (\w+)"', text))
    assert drawn == [["c4", "c3", "c1", "c2"], ["c1", "c2"]]


def test_odd_volumes_are_drawn(made):
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)" alt="middle slices of (\w+)"', made)
    assert [case for _, case in pictures] == ["c1"]
    image = Image.open(io.BytesIO(base64.b64decode(pictures[0][0])))
    assert image.size == (384, 128) and image.getextrema()[1] > 100
