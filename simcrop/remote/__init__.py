"""The hosts of the datasets: what they hold, and files from them, whole or not at all."""

from simcrop.remote.archives import clear, is_archive, unpack
from simcrop.remote.download import checksum, download
from simcrop.remote.hosts import File, Host, Listing, Refused, Unusable, listing

__all__ = [
    "File",
    "Host",
    "Listing",
    "Refused",
    "Unusable",
    "checksum",
    "clear",
    "download",
    "is_archive",
    "listing",
    "unpack",
]
