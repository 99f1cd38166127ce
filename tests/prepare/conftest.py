import numpy as np
import pytest


@pytest.fixture
def hu() -> np.ndarray:
    """(I, J, K) = (6, 5, 4), int16, no two voxels alike."""
    return np.arange(-60, 60, dtype=np.int16).reshape(6, 5, 4) * 10
