"""Files arrive whole, whatever happens on the way, and no byte twice."""

import errno
import random
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from local_host import Fault, LocalHost

from simcrop.errors import InputError
from simcrop.remote import File, Host, Refused, Unusable, download, listing
from simcrop.remote.download import checksum
from simcrop.remote.hosts import Unreachable

ZENODO = Host("zenodo", ("1",))
CONTENT = random.Random(0).randbytes(300_000)
PATH = "/api/records/1/files/a.bin/content"


@pytest.fixture
def file(host) -> File:
    host.zenodo("1", {"a.bin": CONTENT})
    return listing(replace(ZENODO, endpoint=host.url)).files[0]


def test_a_file_arrives_and_its_checksum_is_told(host, file, tmp_path):
    counts = []
    assert download(ZENODO, file, tmp_path / "x/a.bin", counts.append) == file.checksum
    assert (tmp_path / "x/a.bin").read_bytes() == CONTENT
    assert sum(counts) == len(CONTENT)
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["a.bin"]


def test_cut_connections_are_taken_up_where_they_ended(host, file, tmp_path):
    host.faults[PATH] = Fault(cut=50_001, times=4)
    download(ZENODO, file, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert host.served[PATH] == len(CONTENT)


KILLED = """
import sys
from pathlib import Path
from simcrop.remote import File, Host, download
name, size, checksum, url, target = sys.argv[1:]
download(Host("zenodo", ("1",)), File(name, int(size), checksum, url), Path(target))
"""


def test_killed_at_ten_places_it_ends_equal_and_fetches_nothing_twice(host, file, tmp_path):
    target, part = tmp_path / "a.bin", tmp_path / "a.bin.part"
    arguments = [file.name, str(file.bytes), file.checksum, file.url, str(target)]
    host.pause = 0.02
    places = sorted(random.Random(1).sample(range(20_000, len(CONTENT) - 20_000), 10))
    for place in places:
        process = subprocess.Popen([sys.executable, "-c", KILLED, *arguments])
        while not (part.exists() and part.stat().st_size >= place) and process.poll() is None:
            time.sleep(0.001)
        process.kill()
        process.wait()
        assert not target.exists()
        had = part.stat().st_size
        assert part.read_bytes() == CONTENT[:had]
        host.asked.append(("killed", str(had)))
    host.pause = 0
    download(ZENODO, file, target)
    assert target.read_bytes() == CONTENT
    kills = [i for i, (path, _) in enumerate(host.asked) if path == "killed"]
    assert len(kills) == 10
    for i in kills:
        following = next(asked for asked in host.asked[i + 1 :] if asked[0] == PATH)
        assert following[1] == f"bytes={host.asked[i][1]}-"


def test_a_host_without_ranges_is_asked_for_all_of_it_again(host, file, tmp_path):
    host.faults[PATH] = Fault(cut=50_000, times=1)
    host.ranges = False
    counts = []
    download(ZENODO, file, tmp_path / "a.bin", counts.append)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert sum(counts) == len(CONTENT)


def test_what_lies_there_and_is_longer_than_the_file_is_fetched_anew(host, file, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT + b"more")
    download(ZENODO, file, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert host.asked[1:] == [(PATH, "")]  # and not for what comes after its end


def test_a_part_that_begins_elsewhere_is_not_added(host, file, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:100_000])
    host.faults[PATH] = Fault(shift=1000, times=1)
    unchecked = replace(file, checksum="")  # as Kaggle's: nothing else would tell
    download(ZENODO, unchecked, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_host_that_compresses_on_the_way_is_asked_not_to(host, file, tmp_path):
    host.zips = True
    download(ZENODO, file, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_spoilt_part_is_noticed_by_the_checksum_and_fetched_anew(host, file, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(b"spoilt")
    counts = []
    download(ZENODO, file, tmp_path / "a.bin", counts.append)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert sum(counts) == len(CONTENT)


def test_a_wrong_checksum_is_an_error_and_leaves_nothing(host, file, tmp_path):
    host.files[PATH] = CONTENT[:-1] + b"x"
    with pytest.raises(InputError, match=r"has checksum md5:\w+ twice"):
        download(ZENODO, file, tmp_path / "a.bin")
    assert list(tmp_path.iterdir()) == []


def test_another_size_than_listed_is_an_error(host, file, tmp_path):
    host.files[PATH] = CONTENT[:-1]
    with pytest.raises(InputError, match="is of 299999 bytes, and 300000 are listed"):
        download(ZENODO, file, tmp_path / "a.bin")


def test_a_connection_that_never_holds_is_given_up_and_what_came_stays(host, file, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:1000])
    host.faults[PATH] = Fault(cut=0)
    with pytest.raises(InputError, match=r"cut again and again .*, with 1000 bytes here"):
        download(ZENODO, file, tmp_path / "a.bin")
    assert (tmp_path / "a.bin.part").read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize(
    ("status", "error"), [(401, Refused), (403, Refused), (404, Unusable), (418, InputError)]
)
def test_a_refusal_has_its_own_error(host, file, tmp_path, status, error):
    host.faults[PATH] = Fault(status=status)
    with pytest.raises(error, match=str(status)):
        download(ZENODO, file, tmp_path / "a.bin")


def test_the_login_of_kaggle_is_sent_and_never_told(host, tmp_path, monkeypatch):
    kaggle = Host("kaggle", ("me/data",), access="make a token", endpoint=host.url)
    host.kaggle("me/data", CONTENT, "user", "secret")
    (file,) = listing(kaggle).files
    with pytest.raises(Refused, match="make a token, set KAGGLE_USERNAME and KAGGLE_KEY"):
        download(kaggle, file, tmp_path / file.name)
    monkeypatch.setenv("KAGGLE_USERNAME", "user")
    monkeypatch.setenv("KAGGLE_KEY", "wrong")
    with pytest.raises(Refused) as refused:
        download(kaggle, file, tmp_path / file.name)
    assert "wrong" not in str(refused.value)
    monkeypatch.setenv("KAGGLE_KEY", "secret")
    host.faults["/api/v1/datasets/download/me/data"] = Fault(cut=1234, times=2)
    digest = download(kaggle, file, tmp_path / file.name)
    assert (tmp_path / file.name).read_bytes() == CONTENT
    assert digest == checksum(tmp_path / file.name, "sha256")


@pytest.fixture
def hub(host, monkeypatch):
    """A hub that has a file, and the file as it lists it."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    host.files["/file"] = CONTENT
    return Host("hub", ("me/data",), endpoint=host.url), File("a", -1, "", f"{host.url}/file")


SENT = "Bearer hf_secret"


def test_the_token_is_not_sent_on_to_where_a_host_redirects(host, hub, tmp_path):
    with LocalHost(files={"/cdn": CONTENT}) as other:
        del host.files["/file"]
        host.answers["/file"] = f"{other.url}/cdn"  # another port is another host
        download(*hub, tmp_path / "a")
    assert (host.logins, other.logins) == ([SENT], [None])


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_login_in_netrc_takes_no_part(host, hub, tmp_path, monkeypatch, name):
    (tmp_path / "netrc").write_text(f"machine {name} login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    download(*hub, tmp_path / "a")
    host.files["/moved"] = host.files.pop("/file")
    host.answers["/file"] = host.url.replace("127.0.0.1", name) + "/moved"
    download(*hub, tmp_path / "b")
    assert host.logins == [SENT, SENT, SENT if name == "127.0.0.1" else None]


def test_a_file_of_another_address_gets_no_token(host, hub, tmp_path):
    elsewhere, file = replace(hub[0], endpoint=""), hub[1]
    download(elsewhere, file, tmp_path / "a")
    assert host.logins == [None]
    host.tokens["/file"] = SENT
    asked = r"refused \(401\); HF_TOKEN goes to https://huggingface.co alone; name a mirror"
    with pytest.raises(Refused, match=asked):
        download(elsewhere, file, tmp_path / "b")


def test_figshare_files_come_by_a_redirect(host, tmp_path):
    host.figshare("7", {"b.zip": CONTENT})
    figshare = Host("figshare", ("7",), endpoint=host.url)
    (file,) = listing(figshare).files
    download(figshare, file, tmp_path / "b.zip")
    assert (tmp_path / "b.zip").read_bytes() == CONTENT


def test_an_empty_file_arrives(host, tmp_path):
    host.zenodo("1", {"a.bin": b""})
    download(ZENODO, listing(replace(ZENODO, endpoint=host.url)).files[0], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == b""


def test_a_full_disk_is_told_and_what_came_stays(host, file, tmp_path):
    def full(count):
        if count < 100_000:
            raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "a.bin.part").write_bytes(CONTENT[:100_000])
    with pytest.raises(InputError, match=r"a\.bin\.part: no space left .* what was fetched stays"):
        download(ZENODO, file, tmp_path / "a.bin", full)
    came = (tmp_path / "a.bin.part").read_bytes()
    assert 100_000 < len(came) < len(CONTENT) and CONTENT.startswith(came)


def test_a_host_that_goes_away_in_between_is_asked_again(host, file, tmp_path, monkeypatch):
    original, gone = Host.get, [2]

    def get(*arguments, **options):
        if gone[0]:
            gone[0] -= 1
            raise Unreachable("no answer")
        return original(*arguments, **options)

    monkeypatch.setattr(Host, "get", get)
    download(ZENODO, file, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    monkeypatch.setattr(Host, "get", original)
    host.__exit__()
    with pytest.raises(InputError, match=r"cut again and again \(Unreachable\)"):
        download(ZENODO, file, tmp_path / "b.bin")


def test_a_file_named_by_git_is_checked(tmp_path):
    # Worked out with `printf hello | git hash-object --stdin`.
    (tmp_path / "a").write_bytes(b"hello")
    assert checksum(tmp_path / "a", "git") == "git:b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"
