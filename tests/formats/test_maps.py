import numpy as np
import pytest

from simcrop.formats import maps


def test_what_is_written_is_read(tmp_path):
    cosines = np.random.default_rng(0).uniform(-1, 1, (2, 3, 4)).astype(np.float32)
    affine = np.diag([8.0, 8.0, 4.0, 1.0])
    with maps.MapWriter(tmp_path) as kept:
        kept.add("c.1", "2", cosines, affine, 'A, quoted "sentence".', "2", "NA")
    table, store = maps.read(tmp_path)
    assert table.to_dict("records") == [
        {
            "map": "c.1.2",
            "case": "c.1",
            "lesion": "2",
            "label": "NA",
            "sentence": 'A, quoted "sentence".',
        }
    ]
    np.testing.assert_allclose(store.read("c.1.2") / maps.SCALE, cosines, atol=0.5 / maps.SCALE)
    np.testing.assert_array_equal(store.affine("c.1.2"), affine)


def test_nothing_appears_where_writing_fails(tmp_path):
    with pytest.raises(RuntimeError), maps.MapWriter(tmp_path) as kept:
        kept.add("c", "1", np.zeros((1, 1, 1)), np.eye(4), "s")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
