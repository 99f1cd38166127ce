"""Reproducible pre-training and benchmarks for SimCroP on chest CTs and their reports."""

__version__ = "0.1.0"
