import pytest
from local_host import LocalHost

from simcrop.remote import hosts


@pytest.fixture
def host(monkeypatch):
    """A local host, and a client that hardly waits before it asks again."""
    monkeypatch.setattr(hosts, "BACKOFF", 0.001)
    for name in ("HF_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    with LocalHost() as local:
        yield local
