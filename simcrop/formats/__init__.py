"""The files in which stages meet, one module a format."""
