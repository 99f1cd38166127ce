"""Raw files → case table, volume store, sentences and audit: the three steps of this stage."""

from simcrop.prepare.run import collect, index, volumes

__all__ = ["collect", "index", "volumes"]
