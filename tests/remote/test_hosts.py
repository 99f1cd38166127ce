"""What each host lists, in its own protocol."""

import hashlib
from dataclasses import replace

import pytest
from local_host import COMMIT, Fault

from simcrop.errors import InputError
from simcrop.remote import Host, Refused, Unusable, listing

HUB = Host("hub", ("me/data",), files=("a/*", "b.csv"), volumes=("*.nii.gz",), access="accept it")


def at(local):
    return replace(HUB, endpoint=local.url)


def test_the_hub_lists_wanted_files_of_one_commit_with_their_checksums(host):
    files = {"a/1.nii.gz": b"x" * 200, "b.csv": b"1", "other/c": b"2"}
    host.hub("me/data", files)
    found = listing(at(host))
    assert found.revision == COMMIT
    assert [(file.name, file.bytes) for file in found.files] == [("a/1.nii.gz", 200), ("b.csv", 1)]
    assert found.files[0].checksum == "sha256:" + hashlib.sha256(b"x" * 200).hexdigest()
    # Worked out with `printf 1 | git hash-object --stdin`.
    assert found.files[1].checksum == "git:56a6051ca2b02b04ef92d5150c9ef600403cb1de"
    assert found.files[0].url == f"{host.url}/datasets/me/data/resolve/{COMMIT}/a/1.nii.gz"
    assert [HUB.is_volume(file.name) for file in found.files] == [True, False]
    assert listing(at(host), COMMIT) == found


def test_zenodo_joins_its_records_and_names_their_md5(host):
    host.zenodo("1", {"a.zip": b"abc"})
    host.zenodo("2", {"b.csv": b""})
    found = listing(Host("zenodo", ("1", "2"), endpoint=host.url))
    assert [(file.name, file.bytes) for file in found.files] == [("a.zip", 3), ("b.csv", 0)]
    assert found.files[0].checksum == "md5:900150983cd24fb0d6963f7d28e17f72"


def test_figshare_lists_a_version(host):
    host.figshare("7", {"b.zip": b"abc"}, version=4)
    for revision in (None, "4"):
        found = listing(Host("figshare", ("7",), endpoint=host.url), revision)
        assert found.revision == "4"
        assert found.files[0].checksum == "md5:900150983cd24fb0d6963f7d28e17f72"


def test_kaggle_has_one_archive_of_a_version(host):
    host.kaggle("me/data", b"abc", "user", "key", version=5)
    found = listing(Host("kaggle", ("me/data",), endpoint=host.url))
    assert found.revision == "5"
    assert [(file.name, file.bytes) for file in found.files] == [("data.zip", -1)]
    assert found.files[0].url.endswith("/me/data?datasetVersionNumber=5")


def test_a_gated_repository_says_which_terms_to_accept_and_where_the_token_goes(host, monkeypatch):
    host.hub("me/data", {"b.csv": b"1"}, token="hf_right")
    with pytest.raises(Refused, match=r"accept it, set HF_TOKEN"):
        listing(at(host))
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(Refused) as refused:
        listing(at(host))
    assert "hf_wrong" not in str(refused.value)
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert listing(at(host)).files[0].name == "b.csv"


@pytest.mark.parametrize("status", [403, 500])
def test_what_the_hub_answers_is_told(host, status):
    host.hub("me/data", {"b.csv": b"1"})
    host.faults["/api/datasets/me/data"] = Fault(status=status)
    with pytest.raises(InputError, match=r"403|500|no answer"):
        listing(at(host))


def test_an_open_record_that_refuses_asks_for_no_token(host):
    host.zenodo("1", {"a.zip": b"abc"})
    host.faults["/api/records/1"] = Fault(status=403)
    with pytest.raises(Refused, match=r"refused \(403\); see whether the record is open$"):
        listing(Host("zenodo", ("1",), endpoint=host.url))


def test_a_missing_record_is_named(host):
    with pytest.raises(Unusable, match="/api/records/9: not there"):
        listing(Host("zenodo", ("9",), endpoint=host.url))


def test_a_host_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9/api/records/9: no answer"):
        listing(Host("zenodo", ("9",), endpoint="http://127.0.0.1:9"))


def test_a_busy_host_is_asked_again(host):
    host.zenodo("1", {"a.zip": b"abc"})
    host.faults["/api/records/1"] = Fault(status=503, times=2)
    assert listing(Host("zenodo", ("1",), endpoint=host.url)).files[0].name == "a.zip"


def test_nothing_wanted_is_an_error(host):
    host.hub("me/data", {"c.csv": b"1"})
    with pytest.raises(InputError, match=r"holds none of a/\*, b\.csv"):
        listing(at(host))


@pytest.mark.parametrize("name", ["../a", "/a", "b/../../a", "..\\a"])
def test_a_listed_name_that_leads_elsewhere_is_refused(host, name):
    host.zenodo("1", {name: b""})
    with pytest.raises(InputError, match="leads elsewhere"):
        listing(Host("zenodo", ("1",), endpoint=host.url))
