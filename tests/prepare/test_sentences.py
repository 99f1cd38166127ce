"""Sentences of chest-CT reports: nothing lost, nothing cut inside a number."""

import re

import pandas as pd
import pytest

from simcrop.prepare.sentences import given, split


def texts(report: str) -> list[str]:
    return [text for text, _, _ in split(report)]


@pytest.mark.parametrize(
    "sentences",
    [
        ["Trachea is open.", "Heart size is normal."],
        ["A 13x9.3 mm lymph node is seen.", "It is stable."],
        ["The aorta measures 3.3 cm.", "No effusion."],
        ["Compared with 12.03.2021.", "3 new nodules are seen."],
        ["It lies in segment 3.", "It could not be measured."],
        ["There is loss of height in the T12. vertebra and below.", "No fracture."],
        ["A nodule of approx. 5 mm, i.e. small, is seen by Dr. Smith.", "It is new."],
        ["See image No. 45 of the series.", "There is none."],
        ["Is there effusion? no.", "Yes."],
        ["Clinic and lab. correlation is advised.", "Follow-up."],
        ["Operated colon ca.", "Stable nodules."],
        ["In the window; Aeration is normal.", "End."],
        ["A lesion (cyst?) is seen.", "Viral pneumonia?", "Follow-up."],
        ["A lesion is seen (metastasis?).", "It is new."],
        ["1. Nodule in the right lung.", "2. Emphysema of both lungs.", "3. Effusion."],
        ["1) Nodule", "2) Emphysema"],
        ["- Nodule", "- Emphysema of", "* Effusion"],
        ["• Stable nodules in both lungs.", "• Effusion", "· Hiatal hernia."],
        ['" Emphysema in both lungs', '" Hiatal hernia', '" Atelectasis.'],
        ["Heights are preserved.", '"Hiatal hernia.', '"Cardiomegaly."'],
        ["Heights are preserved.", "“Cholecystectomized.”", "Atherosclerosis."],
        ["The 'tree in bud' pattern is gone.", "End."],
        ["Not given."],
        ["findings without an end"],
        ["FINDINGS", "The lungs are clear."],
        ["arteries are normal.", "abdominal organs too."],
        ["A lesion is seen … posteriorly.", "It is new!", "End."],
    ],
)
def test_it_finds_the_sentences(sentences):
    # Items of a list and headings are told by their lines; all else by a blank.
    listed = sentences[0][0] in "1-F" and sentences[0][-1] != "."
    joint = "\n\n" if listed else " "
    assert texts(joint.join(sentences)) == sentences


def test_items_of_a_list_part_at_line_ends_and_wrapped_lines_do_not():
    assert texts("Nodules:\n- left\n- right\n1. both") == [
        "Nodules:",
        "- left",
        "- right",
        "1. both",
    ]
    assert texts("A nodule in\nthe right lung.\r\n\r\nEffusion") == [
        "A nodule in\nthe right lung.",
        "Effusion",
    ]


def test_quotes_that_part_impressions_open_the_next_sentence_with_or_without_a_full_stop():
    assert texts('Stable."Nodules in both lungs." Effusion" Hernia "') == [
        "Stable.",
        '"Nodules in both lungs.',
        '" Effusion',
        '" Hernia "',
    ]


@pytest.mark.parametrize("report", ["", " ", "\n\n"])
def test_an_empty_section_has_no_sentence(report):
    assert split(report) == []
    assert not given(report)


def test_not_given_is_nothing_said():
    assert not any(map(given, ["Not given.", "not given", '"Not given."', " . ", "nan"]))
    assert all(map(given, ["Normal.", "No contrast was given."]))


def check_spans(report: str) -> None:
    last = 0
    for text, start, end in split(report):
        assert text == report[start:end] == text.strip() != ""
        assert not report[last:start].strip(), "only white space may lie between spans"
        assert any(map(str.isalnum, text)) or not any(map(str.isalnum, report))
        last = end
    assert not report[last:].strip()


@pytest.mark.parametrize(
    "report", ['""', ". . .", "a", "•", '" " a " " b', "...a. ..b", '."A"."B"']
)
def test_spans_cover_odd_texts_too(report):
    check_spans(report)


def test_800_real_reports_lose_no_character_and_no_number_is_cut(real_data):
    reports = pd.read_csv(real_data / "reports/ct_rate_labelled_800.csv")["report_text"]
    number = re.compile(r"\d+(?:[.,/:x]\d+)+|\d+ ?x ?\d|\d ?(?:mm|cm)\b")
    count = 0
    for report in reports:
        check_spans(report)
        spans = split(report)
        count += len(spans)
        starts = [start for _, start, _ in spans]
        for match in number.finditer(report):
            assert not any(match.start() < start < match.end() for start in starts), match
    assert 18 < count / len(reports) < 26
