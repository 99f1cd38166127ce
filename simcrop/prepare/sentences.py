"""Reports into sentences, by rules made for chest-CT reports and tried on those of CT-RATE."""

import re
from pathlib import Path

from simcrop.errors import InputError

# Full stops after these never end a sentence, nor does one after the initial of a person …
_PERSONS = {"dr", "prof", "assist", "assoc", "mr", "mrs", "ms"}
_TITLES = _PERSONS | {"st", "vs", "approx", "cf", "fig", "i.e", "e.g", "lab"}
# … after these, and after letters such as "i.v.", only before a capital …
_SHORTENED = {"no", "nr", "ca", "ant", "post", "inf", "sup", "lat", "med", "max", "min"}
_SHORTENED |= {"etc", "seg", "vol", "incl", "resp", "op", "postop", "preop", "bil", "rt", "lt"}
_SHORTENED |= {"ser", "im", "img", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept"}
_SHORTENED |= {"oct", "nov", "dec"}
_LETTERS = re.compile(r"(?:[a-z]\.)+[a-z]")
# … and after these not before a small letter.
_UNIT = re.compile(r"[\d.,x]*(?:mm|cm|ml|cc|hu)")

_CUT = re.compile(
    r"""
    (?P<stop>[.!?…]+) [)\]”’»]*                     # punctuation that may end a sentence,
        (?:\s+[.,;)\]]+ (?=\s))*                    # with what strays behind it;
        (?=\s | ["“•·]                              # the blank may be missing
            | (?<=[a-z?][a-z)][.?!]) (?:\d{1,2}[.)])?[A-Z])
    | (?=•) | (?<![^\s.]) (?=·)                     # a bullet
    # CT-RATE parts impressions by a quote: a lone one, one before a capital, or a curly pair.
    | (?<!\S) (?="\s) | (?<=\S) (?="\s+[A-Z]) | (?<=\S) (?P<small>(?="\s+[a-z]))
    | (?<=\s) (?="[A-Z]) (?!"[^"]*"\s[a-z])
    | (?<=”) (?=\s+[A-Z])
    | \n [^\S\n]* (?=\n | [-–*]\s | \d{1,2}[.)][\sA-Z])  # an empty line, an item of a list
    """,
    re.VERBOSE,
)
_ENUMERATOR = re.compile(r"\W*(\d{1,2}|[A-Za-z])")


def split(text: str) -> list[tuple[str, int, int]]:
    """The sentences of `text` in order, as (sentence, start, end) with sentence == text[start:end].

    Nothing but white space lies between spans: bullets, enumerators and the quotes that part
    impressions belong to the sentence after them, stray full stops, commas and closing brackets to
    the one before. Semicolons do not part sentences, nor do question marks within parentheses.
    """
    spans = []
    start = 0
    for match in _CUT.finditer(text):
        after = match.end() + len(text[match.end() :]) - len(text[match.end() :].lstrip())
        if (
            _has_words(text[start : match.end()])
            and _has_words(text[after:])
            and _parts(text[start : match.start()], match, text[after:])
        ):
            spans.append((start, match.end()))
            start = after
    spans.append((start, len(text)))
    return [_stripped(text, *span) for span in spans if text[slice(*span)].strip()]


def parse(path: Path) -> list[tuple[str, int, int]]:
    """The sentences of a text file with one report; offsets count characters of its text.

    Line ends are kept as they are in the file; a byte order mark is no part of the text.

    Raises:
        InputError: the file is missing, no UTF-8 text or empty.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); give a text file with one report"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: byte {error.start} is not UTF-8; save the report as UTF-8 text"
        ) from error
    sentences = split(text)
    if not sentences:
        raise InputError(f"{path}: no text in it; give a text file with one report")
    return sentences


def given(text: str) -> bool:
    """Whether a section of a report says anything: CT-RATE writes 'Not given.' otherwise."""
    return _has_words(text) and text.strip(' ."').lower() not in ("not given", "nan")


def _has_words(text: str) -> bool:
    return any(map(str.isalnum, text))


def _parts(sentence: str, cut: re.Match[str], rest: str) -> bool:
    """Whether `cut` parts `sentence` from the text that follows."""
    if cut["small"] is not None:
        # Before a small letter it may close a quoted phrase as well.
        return re.match(r'"\s[^"]*$', sentence) is not None
    return cut["stop"] is None or _ends(sentence, cut, rest)


def _ends(sentence: str, stop: re.Match[str], rest: str) -> bool:
    """Whether the punctuation `stop` ends `sentence`, given the text that follows."""
    if rest.startswith(("and ", "or ")):
        return False
    follower = rest.lstrip('"“•· ')[:1]
    continues = follower.islower() and rest[0] == follower
    if stop["stop"] != ".":
        inner = (sentence + stop.group()).rpartition(")")[2]
        if "(" in inner and re.match(r"[^().]*\)", rest):
            return False
        return not continues or rest.startswith("clinic")
    *before, word = sentence.split()
    word = word.lstrip("([\"“'").lower()
    if word in _TITLES or word.split(".")[-1] in _TITLES or _ENUMERATOR.fullmatch(sentence.strip()):
        return False
    if ".," in word:  # ordinal numbers: "1.,2.,3. ribs"
        return False
    if len(word) == 1 and before and before[-1].lower().rstrip(".") in _PERSONS:
        return False
    if _UNIT.fullmatch(word):
        return not continues
    if word in _SHORTENED or len(word) == 1 or _LETTERS.fullmatch(word):
        return not (continues or follower.isdigit())
    if word[-1:].isdigit() and stop.group() == ".":
        return not (continues or (follower.isdigit() and re.fullmatch(r"\d{1,3}", word)))
    return True


def _stripped(text: str, start: int, end: int) -> tuple[str, int, int]:
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    return part.strip(), start, start + len(part.strip())
