"""Reports into sentences, by rules made for chest-CT reports and tried on those of CT-RATE."""

import re

# Full stops after these never end a sentence …
_TITLES = {"dr", "prof", "assist", "assoc", "mr", "mrs", "ms", "st", "vs", "approx", "cf", "fig"}
_TITLES |= {"i.e", "e.g"}
# … and after these only before a capital.
_SHORTENED = {"no", "nr", "lab", "ca", "ant", "post", "inf", "sup", "lat", "med", "max", "min"}
_SHORTENED |= {"etc", "seg", "vol", "incl", "resp", "op", "postop", "preop", "bil", "rt", "lt"}

_CUT = re.compile(
    r"""
    (?P<stop>[.!?…]+) [)\]”’»]* (?=\s|["“•·])       # punctuation that may end a sentence
    | (?=•) | (?<![^\s.]) (?=·)                     # a bullet
    | (?<!\S) (?="\s) | (?<=\S) (?="\s+[A-Z])       # a lone quote: CT-RATE parts impressions by it
    | \n [^\S\n]* (?=\n | [-–*]\s | \d{1,2}[.)]\s)  # an empty line, an item of a list
    """,
    re.VERBOSE,
)
_ENUMERATOR = re.compile(r"\W*(\d{1,2}|[A-Za-z])")


def split(text: str) -> list[tuple[str, int, int]]:
    """The sentences of `text` in order, as (sentence, start, end) with sentence == text[start:end].

    Nothing but white space lies between spans: bullets, enumerators and the quotes that part
    impressions belong to the sentence after them. Semicolons do not part sentences.
    """
    spans = []
    start = 0
    for match in _CUT.finditer(text):
        after = match.end() + len(text[match.end() :]) - len(text[match.end() :].lstrip())
        if (
            _has_words(text[start : match.end()])
            and _has_words(text[after:])
            and (match["stop"] is None or _ends(text[start : match.start()], match, text[after:]))
        ):
            spans.append((start, match.end()))
            start = after
    spans.append((start, len(text)))
    return [_stripped(text, *span) for span in spans if text[slice(*span)].strip()]


def given(text: str) -> bool:
    """Whether a section of a report says anything: CT-RATE writes 'Not given.' otherwise."""
    return _has_words(text) and text.strip(' ."').lower() not in ("not given", "nan")


def _has_words(text: str) -> bool:
    return any(map(str.isalnum, text))


def _ends(sentence: str, stop: re.Match[str], rest: str) -> bool:
    """Whether the punctuation `stop` ends `sentence`, given the text that follows."""
    follower = rest.lstrip('"“•· ')[:1]
    continues = follower.islower() and rest[0] == follower
    if stop["stop"] != ".":
        return not continues
    word = sentence.split()[-1].lstrip("([\"“'").lower()
    if word in _TITLES or _ENUMERATOR.fullmatch(sentence.strip()):
        return False
    if word in _SHORTENED or len(word) == 1:
        return not (continues or follower.isdigit())
    if word[-1].isdigit() and stop.group() == ".":
        return not (continues or (follower.isdigit() and re.fullmatch(r"\d{1,3}", word)))
    return True


def _stripped(text: str, start: int, end: int) -> tuple[str, int, int]:
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    return part.strip(), start, start + len(part.strip())
