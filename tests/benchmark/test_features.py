import subprocess
import sys

import numpy as np
import torch

from simcrop.benchmark.encoder import load_encoder
from simcrop.benchmark.features import ahead, features
from simcrop.formats.volumes import VolumeStore
from simcrop.models.inputs import to_input


def test_each_feature_is_its_own_scans_mean_patch_token(encoder_weights, store):
    rng = np.random.default_rng(0)
    volumes = {
        f"c{i}": rng.integers(-1200, 1200, (16 + i % 3, 15, 9)).astype(np.int16) for i in range(20)
    }
    encoder, arguments = load_encoder(encoder_weights())
    shape = tuple(arguments["volume"])
    found = features(encoder, shape, VolumeStore(store("volumes.zip", volumes)), list(volumes))
    assert found.shape == (20, 12)
    for vector, volume in zip(found, volumes.values(), strict=True):
        tokens = encoder(to_input(volume, shape)[None])[0, 1:]
        torch.testing.assert_close(vector, tokens.mean(dim=0))


def test_a_loaded_encoder_is_frozen_and_in_eval_mode(encoder_weights):
    encoder, _ = load_encoder(encoder_weights())
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_reading_ahead_keeps_the_order():
    threads = torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            assert list(ahead(lambda x: x * x, range(10))) == [x * x for x in range(10)]
    finally:
        torch.set_num_threads(threads)


def test_a_probe_imports_neither_monai_nor_transformers():
    code = "import sys, simcrop.benchmark.probe; print({'monai', 'transformers'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
