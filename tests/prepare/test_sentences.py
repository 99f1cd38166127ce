"""Sentences of chest-CT reports: nothing lost, nothing cut inside a number."""

import pytest

from simcrop.errors import InputError
from simcrop.prepare.sentences import given, parse, split


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
        ["Is it pneumonia?", "clinical lab. Correlation is advised."],
        ["It needs clinical corr. and a control.", "End."],
        ["Fractures of the right 2.,3.,4. Ribs are seen.", "End."],
        ["Operated colon ca.", "Stable nodules."],
        ["In the window; Aeration is normal.", "End."],
        ["A lesion (cyst?) is seen.", "Viral pneumonia?", "Follow-up."],
        ["A lesion is seen (metastasis?).", "It is new."],
        ["Lesions are seen (cyst? Abscess?).", "They are new."],
        ["A lesion is seen (cyst?", "No lymph node (5 mm) is new."],
        ["A lesion is seen (cyst ? ).", "It is new . ,", "End."],
        ["1. Nodule in the right lung.", "2. Emphysema of both lungs.", "3. Effusion."],
        ["1) Nodule", "2) Emphysema"],
        ["- Nodule", "- Emphysema of", "* Effusion"],
        ["• Stable nodules in both lungs.", "• Effusion", "· Hiatal hernia."],
        ['" Emphysema in both lungs', '" Hiatal hernia', '" Atelectasis.'],
        ["Heights are preserved.", '"Hiatal hernia.', '"Cardiomegaly."'],
        ["Heights are preserved.", "“Cholecystectomized.”", "Atherosclerosis."],
        ["The 'tree in bud' pattern is gone.", "End."],
        ['The "Crazy paving" pattern is gone.', "End."],
        ['The "crazy paving" pattern is gone.', "End."],
        ['" Emphysema', '"Hernia', '"Atelectasis"'],
        ["Heights are preserved.", "“Hernia,”", "Atherosclerosis."],
        ["Not given."],
        ["findings without an end"],
        ["FINDINGS", "The lungs are clear."],
        ["arteries are normal.", "abdominal organs too."],
        ["A lesion is seen … posteriorly.", "It is new!", "End."],
        ["Sections were taken after i.v. contrast administration.", "No effusion."],
        ["A 65 y.o. male was seen at 10 a.m. on Monday.", "It was 10 a.m.", "He was stable."],
        ["Compared with the CT of Jan. 5, 2021.", "Known since Sept. 2020.", "End."],
        ["It was first seen in Dec.", "It is stable."],
        ["It measures 3 cm. in diameter and 2mm. in depth.", "It measured 2 cm.", "3 are new."],
        ["A nodule (ser. 3 im. 45) is new.", "End."],
        ["It was seen by Dr. A. Smith.", "Hepatitis C.", "Liver is enlarged."],
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
    assert texts("Impression:\n1.Normal\n2)Hernia\n3.5 mm nodule") == [
        "Impression:",
        "1.Normal",
        "2)Hernia\n3.5 mm nodule",
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


def test_a_quote_before_a_small_letter_parts_impressions_but_closes_a_quoted_phrase():
    assert texts('" Nodules on follow-up" effusion " Hernia') == [
        '" Nodules on follow-up',
        '" effusion',
        '" Hernia',
    ]
    assert texts('Stable. "Steatosis" is seen.') == ["Stable.", '"Steatosis" is seen.']


def test_sentences_without_a_blank_between_them_part_before_a_capital():
    assert texts("It is 3.3 cm.No effusion (fluid?).Prof.Smith saw T12.Th12.vertebra too.") == [
        "It is 3.3 cm.",
        "No effusion (fluid?).",
        "Prof.Smith saw T12.Th12.vertebra too.",
    ]


def test_numbered_sentences_without_a_blank_between_them_part_before_the_number():
    assert texts("1.Emphysema.2.Nodule.3)Effusion of 2.5 cm.4.End, ser.3.Im.") == [
        "1.Emphysema.",
        "2.Nodule.",
        "3)Effusion of 2.5 cm.",
        "4.End, ser.3.Im.",
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
    "report",
    ['""', ". . .", "a", "•", '" " a " " b', "...a. ..b", '."A"."B"', "a (. B", "a? ) . \n b"],
)
def test_spans_cover_odd_texts_too(report):
    check_spans(report)


def test_a_file_is_parsed_with_offsets_into_its_text_as_it_stands(tmp_path):
    path = tmp_path / "report.txt"
    text = "\r\nKein Erguß.\r\n\r\n- Nodule of 3.3 cm\r\n- Hernia\r\n"
    path.write_bytes(text.encode())
    sentences = parse(path)
    assert [sentence for sentence, _, _ in sentences] == [
        "Kein Erguß.",
        "- Nodule of 3.3 cm",
        "- Hernia",
    ]
    assert all(text[start:end] == sentence for sentence, start, end in sentences)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    path = tmp_path / "report.txt"
    path.write_text("Stable.", encoding="utf-8-sig")
    assert parse(path) == [("Stable.", 0, 7)]


@pytest.mark.parametrize(
    ("content", "mend"),
    [
        (None, "give a text file with one report"),
        (b"", "give a text file with one report"),
        (b" \n", "give a text file with one report"),
        ("Erguß".encode("latin-1"), "save the report as UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_mend(tmp_path, content, mend):
    path = tmp_path / "report.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"report\.txt.*{mend}"):
        parse(path)


def test_a_folder_is_no_report(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        parse(tmp_path)
