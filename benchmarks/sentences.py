"""Compares `simcrop.prepare.sentences.split` with other splitters on hand-marked reports.

    python benchmarks/sentences.py ../shared/data/reports/ct_rate_labelled_800.csv

The marks are `tests/prepare/marked_reports.csv`. A sentence is found where both its ends are right;
under "words alone" quotes, bullets and punctuation at its ends do not count. Other splitters are
tried where they are installed: pysbd, spacy, nltk.
"""

import argparse
import csv
import hashlib
import importlib
import re
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from simcrop.prepare.sentences import split

Span = tuple[int, int]
Splitter = Callable[[str], Iterable[Span]]
Marked = tuple[str, list[Span]]

MARKS = Path(__file__).parents[1] / "tests/prepare/marked_reports.csv"
SECONDS = 2


def ours(_: list[str]) -> Splitter:
    return lambda text: [(start, end) for _, start, end in split(text)]


def pysbd(_: list[str]) -> Splitter:
    segmenter = importlib.import_module("pysbd").Segmenter(clean=False, char_span=True)
    return lambda text: [(span.start, span.end) for span in segmenter.segment(text)]


def spacy(_: list[str]) -> Splitter:
    pipeline = importlib.import_module("spacy").blank("en")
    pipeline.add_pipe("sentencizer")
    return lambda text: [(part.start_char, part.end_char) for part in pipeline(text).sents]


def punkt(reports: list[str]) -> Splitter:
    """Learns its abbreviations from all reports, since its English model is a download."""
    module = importlib.import_module("nltk.tokenize.punkt")
    return module.PunktSentenceTokenizer("\n\n".join(reports)).span_tokenize


SPLITTERS = {
    "simcrop": ours,
    "pysbd": pysbd,
    "spacy sentencizer": spacy,
    "nltk punkt, trained on the reports": punkt,
}


def main() -> None:
    """Prints a table for each sample, one line a splitter."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", type=Path, help="CSV with the column report_text")
    with parser.parse_args().reports.open(encoding="utf-8", newline="") as file:
        reports = [row["report_text"] for row in csv.DictReader(file)]
    marked = read_marks(reports)
    splitters = {name: installed(make, reports) for name, make in SPLITTERS.items()}
    for sample, pairs in marked.items():
        count = sum(len(marks) for _, marks in pairs)
        print(f"\nSample {sample}: {len(pairs)} reports, {count} sentences\n")
        print("| | precision | recall | F1 | F1, words alone | reports per second |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for name, splitter in splitters.items():
            values = line(splitter, pairs) if splitter else "not installed | | | |"
            print(f"| {name} | {values} |")


def installed(make: Callable[[list[str]], Splitter], reports: list[str]) -> Splitter | None:
    try:
        return make(reports)
    except ImportError:
        return None


def line(splitter: Splitter, marked: list[Marked]) -> str:
    values = (*score(splitter, marked, stripped), score(splitter, marked, wordy)[2])
    rate = speed(splitter, [report for report, _ in marked])
    return f"{' | '.join(f'{value:.3f}' for value in values)} | {rate:.0f}"


def read_marks(reports: list[str]) -> dict[str, list[Marked]]:
    """Sample → its reports and their sentences; ends the script where `reports` are others."""
    marked: dict[str, list[Marked]] = {"hard": [], "random": []}
    with MARKS.open(newline="") as file:
        for row in csv.DictReader(file):
            number = int(row["report"])
            report = reports[number] if number < len(reports) else ""
            if hashlib.sha256(report.encode()).hexdigest() != row["sha256"]:
                sys.exit(f"row {number} is not the report that was marked")
            spans = [tuple(map(int, span.split("-"))) for span in row["spans"].split()]
            marked[row["sample"]].append((report, spans))
    return marked


def score(
    splitter: Splitter,
    marked: list[Marked],
    trim: Callable[[str, Span], Span],
) -> tuple[float, float, float]:
    """Precision, recall and F1 of the spans whose two ends are right after `trim`."""
    hits = found = wanted = 0
    for report, marks in marked:
        spans = {trim(report, span) for span in splitter(report) if report[slice(*span)].strip()}
        truth = {trim(report, span) for span in marks}
        hits, found, wanted = hits + len(spans & truth), found + len(spans), wanted + len(truth)
    return hits / found, hits / wanted, 2 * hits / (found + wanted)


def stripped(report: str, span: Span) -> Span:
    part = report[slice(*span)]
    return span[0] + len(part) - len(part.lstrip()), span[0] + len(part.rstrip())


def wordy(report: str, span: Span) -> Span:
    """From the first letter or digit to the last."""
    match = re.search(r"[^\W_](?:.*[^\W_])?", report[slice(*span)], re.DOTALL)
    return (span[0] + match.start(), span[0] + match.end()) if match else span


def speed(splitter: Splitter, reports: list[str]) -> float:
    """Reports per second, over at least SECONDS."""
    start = time.perf_counter()
    rounds = 0
    while (spent := time.perf_counter() - start) < SECONDS:
        for report in reports:
            list(splitter(report))
        rounds += 1
    return rounds * len(reports) / spent


if __name__ == "__main__":
    main()
