import numpy as np
import pytest

from simcrop.benchmark.schedule import warmup_cosine


def test_the_rate_rises_linearly_and_falls_as_half_a_cosine():
    factors = np.array([warmup_cosine(step, 110, 10) for step in range(110)])
    np.testing.assert_allclose(np.diff(factors[:10]), 0.1)
    assert factors[9] == factors[10] == 1
    assert factors[60] == pytest.approx(0.5)
    assert 0 < factors[109] < 0.001


def test_a_warm_up_longer_than_the_training_never_reaches_the_full_rate():
    assert warmup_cosine(9, 10, 50) == pytest.approx(0.2)
