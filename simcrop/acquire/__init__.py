"""Raw files: made by the suite, found in a folder or fetched from their host, and their record."""
