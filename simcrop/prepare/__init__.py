"""Raw files → case table, volume store, sentences and audit: the three steps of this stage."""
