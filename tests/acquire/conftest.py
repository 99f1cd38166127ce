import pytest
from local_host import LocalHost

from simcrop.remote import hosts


@pytest.fixture
def host(monkeypatch, tmp_path):
    monkeypatch.setattr(hosts, "BACKOFF", 0.001)
    monkeypatch.chdir(tmp_path)
    for name in ("HF_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    with LocalHost() as local:
        yield local
