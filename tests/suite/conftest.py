"""A folder in which the shrunken configuration was run once, for all tests of its results."""

from pathlib import Path

import pytest
from workflow_run import clone, run


@pytest.fixture(scope="session")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything was run, undisturbed."""
    folder = clone(root, tmp_path_factory.mktemp("finished"))
    run(folder)
    return folder
