"""One's own scans through a trained encoder: embeddings, similarity maps and pictures of them."""

from pathlib import Path

import pandas as pd

from simcrop import files, runs
from simcrop.benchmark.picture import draw
from simcrop.benchmark.similarity import Matcher
from simcrop.errors import InputError
from simcrop.formats import cases
from simcrop.formats.maps import MapWriter
from simcrop.formats.volumes import VolumeStore
from simcrop.progress import progress


def sample(run: runs.Sample, out: Path) -> None:
    """Encode every scan → embeddings.csv, maps.zip, maps.csv, pictures/<case>.png.

    embeddings.csv: case, f0, f1 …: the mean patch token of the centre crop, nothing masked.

    Raises:
        InputError: there is no scan, or the weights have no alignment heads.
    """
    table = cases.read(run.cases)
    names = list(table["case"][table["path"] != ""])
    if not names:
        raise InputError(f"{run.cases}: no case has a volume; put a CT into the sample's folder")
    matcher = Matcher(run.weights, run.text_encoder)
    volumes, background = VolumeStore(run.volumes), VolumeStore(run.background)
    embeddings = []
    with MapWriter(out) as kept:
        for case in progress(names, "scans"):
            hu = volumes.read(case)
            tokens = matcher.tokens(hu)
            embeddings.append(tokens.mean(dim=0).cpu().numpy())
            maps = matcher.maps(tokens, run.settings.sentences)
            affine = matcher.affine(volumes.affine(case), hu.shape)
            for number, (sentence, cosines) in enumerate(
                zip(run.settings.sentences, maps, strict=True), 1
            ):
                kept.add(case, str(number), cosines, affine, sentence)
            with files.whole(out / "pictures" / f"{case}.png") as temporary:
                draw(
                    temporary,
                    case,
                    (background.read(case), background.affine(case)),
                    (maps, affine),
                    run.settings.sentences,
                )
    vectors = pd.DataFrame(embeddings).add_prefix("f")
    vectors.insert(0, "case", names)
    with files.whole(out / "embeddings.csv") as temporary:
        vectors.to_csv(temporary, index=False, lineterminator="\n")
