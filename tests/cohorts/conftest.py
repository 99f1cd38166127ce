"""A small synthetic cohort of every dataset, made once."""

import pytest

from simcrop import cohorts, sections

SEED = 3
SETTINGS = sections.Synthetic(cases=24)


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory):
    """A function: the folder of a dataset's synthetic cohort, which tests must not change."""
    folders = {}

    def made(dataset):
        if dataset not in folders:
            folders[dataset] = tmp_path_factory.mktemp(dataset) / "raw"
            cohorts.get(dataset).make(folders[dataset], SETTINGS, SEED)
        return folders[dataset]

    return made
