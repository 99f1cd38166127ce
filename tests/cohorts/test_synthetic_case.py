"""The suite's own chests: what a name and a seed determine, sides, densities, organs, reports."""

import csv
import dataclasses

import numpy as np
import pytest

from simcrop import sections
from simcrop.cohorts import btcv
from simcrop.cohorts.synthetic import anatomy, case, phrases, space
from simcrop.cohorts.synthetic.lesions import FINDINGS, LABELS
from simcrop.errors import InputError

MINIATURE = space.Grid((7, 7, 14), (48, 48, 24))
FINE = space.Grid((4, 4, 5), (84, 84, 68))
SETTINGS = sections.Synthetic()


def draw(name, grid=MINIATURE, settings=SETTINGS, **options):
    return case.draw(name, 0, settings, grid, **options)


def only(label, side, zone, grid=MINIATURE, settings=SETTINGS, name="one"):
    return draw(name, grid, settings, plan=lambda rng: [(label, side, zone)])


def centroid(drawn, mask):
    affine = drawn.grid.affine
    return affine[:3, :3] @ np.argwhere(mask).mean(0) + affine[:3, 3]


def same(one, other):
    return all(
        np.array_equal(getattr(one, field.name), getattr(other, field.name))
        for field in dataclasses.fields(case.Case)
    )


SITES = [(label, *place) for label, (_, places) in FINDINGS.items() for place in places]


def test_a_case_drawn_alone_equals_the_one_drawn_after_others():
    among = [draw(name) for name in ("a", "b", "c")][2]
    assert same(among, draw("c"))


def test_name_seed_and_patient_each_change_a_case():
    base = draw("a")
    assert not np.array_equal(base.volume, draw("b").volume)
    assert not np.array_equal(base.volume, case.draw("a", 1, SETTINGS, MINIATURE).volume)
    assert not np.array_equal(base.structures, draw("a", patient="b").structures)


def test_scans_of_one_patient_share_their_anatomy():
    healthy = [draw(name, plan=lambda rng: [], patient="p") for name in ("p_a", "p_b")]
    assert np.array_equal(healthy[0].structures, healthy[1].structures)
    assert not np.array_equal(healthy[0].volume, healthy[1].volume)


def test_reconstructions_differ_in_noise_only():
    first, second = draw("a"), draw("a", reconstruction=2)
    assert first.findings == second.findings
    assert np.array_equal(first.lesion_mask, second.lesion_mask)
    difference = first.volume.astype(float) - second.volume
    assert 20 < difference.std() < 30  # twice the variance of noise of 18 HU
    assert abs(difference.mean()) < 0.5


def test_content_does_not_depend_on_the_grid():
    coarse, fine = draw("a"), draw("a", FINE)
    assert coarse.findings == fine.findings
    assert coarse.lesions == fine.lesions
    for lesion in coarse.lesions:
        bit = 1 << (lesion.number - 1)
        apart = centroid(coarse, coarse.lesion_mask & bit) - centroid(fine, fine.lesion_mask & bit)
        assert np.abs(apart).max() < 8, lesion


@pytest.mark.parametrize(("label", "side", "zone"), SITES)
def test_every_finding_is_drawn_on_its_side_and_told_with_it(label, side, zone):
    drawn = only(label, side, zone)
    assert drawn.labels == {other: int(other == label) for other in LABELS}
    (lesion,) = drawn.lesions
    x = centroid(drawn, drawn.lesion_mask)[0]
    if side:
        assert (x < 0) == (side == "left")
        assert side in lesion.sentence.lower()
    else:
        assert abs(x) < 35
    assert f"{lesion.mm} mm" in lesion.sentence
    assert (drawn.lesion_mask == 1).sum() >= 8


@pytest.mark.parametrize("zone", ["upper", "middle", "lower"])
def test_lobes_lie_where_their_names_say(zone):
    drawn = only("Lung nodule", "right", zone)
    _, y, z = centroid(drawn, drawn.lesion_mask)
    assert {"upper": z > 45, "middle": y > 25 and z < 35, "lower": y < -15 and z < 15}[zone]


def test_the_stated_size_is_the_width_of_a_nodule():
    drawn = only("Lung nodule", "right", "upper", FINE)
    voxels = np.argwhere(drawn.lesion_mask)
    width = (np.ptp(voxels, axis=0) + 1) * FINE.spacing
    assert np.abs(width - drawn.lesions[0].mm).max() < 8


def test_lesion_size_scales_the_lesion():
    volumes = [
        (
            only("Lung nodule", "right", "upper", FINE, sections.Synthetic(lesion_size=size))
        ).lesion_mask.sum()
        for size in (0.5, 1.0)
    ]
    assert volumes[1] / volumes[0] == pytest.approx(8, rel=0.2)


def test_a_lesion_smaller_than_a_voxel_still_has_one():
    drawn = only("Lung nodule", "left", "upper", settings=sections.Synthetic(lesion_size=0.01))
    assert drawn.lesion_mask.sum() == 1


def test_every_finding_at_once_keeps_a_mask_and_a_sentence_a_lesion():
    for name in ("a", "b", "c"):
        drawn = draw(name, settings=sections.Synthetic(prevalence=1.0))
        assert set(drawn.labels.values()) == {1}
        assert [lesion.number for lesion in drawn.lesions] == list(range(1, len(drawn.lesions) + 1))
        assert len(drawn.lesions) < 32
        for lesion in drawn.lesions:
            assert (drawn.lesion_mask & (1 << (lesion.number - 1))).any()
            assert drawn.findings.count(lesion.sentence) == 1


def test_prevalence_is_the_share_of_cases_with_a_label():
    settings = sections.Synthetic(prevalence=0.3)
    grid = space.Grid((60, 60, 60), (6, 6, 6))
    labels = [list(draw(f"p{i}", grid, settings).labels.values()) for i in range(250)]
    assert np.mean(labels) == pytest.approx(0.3, abs=0.03)
    assert np.ptp(np.mean(labels, axis=0)) < 0.2


@pytest.mark.parametrize(
    ("label", "low", "high"),
    [
        ("Medical material", 1000, 3071),
        ("Arterial wall calcification", 500, 1000),
        ("Emphysema", -1024, -930),
        ("Lung nodule", -100, 100),
        ("Lung opacity", -650, -480),
        ("Pleural effusion", -60, 40),
        ("Consolidation", -150, 80),
    ],
)
def test_a_finding_has_its_density(label, low, high):
    side, zone = FINDINGS[label][1][0]
    drawn = only(label, side, zone)
    assert low < np.median(drawn.volume[drawn.lesion_mask > 0]) < high


@pytest.mark.parametrize(
    ("structure", "plain", "enhanced"),
    [
        ("left lung", -870, -860),
        ("right lung", -870, -860),
        ("fat", -100, -100),
        ("aorta", 44, 165),
        ("liver", 60, 110),
        ("spleen", 50, 125),
        ("left kidney", 34, 190),
        ("air", -1000, -1000),
    ],
)
def test_a_structure_has_its_density(structure, plain, enhanced):
    grid = space.Grid((5, 5, 6), (68, 68, 70), (0, 0, -80))
    for contrast, expected in ((False, plain), (True, enhanced)):
        drawn = draw("a", grid, plan=lambda rng: [], enhanced=contrast)
        inside = drawn.structures == anatomy.STRUCTURES.index(structure)
        assert np.median(drawn.volume[inside]) == pytest.approx(expected, abs=25)


def test_paired_and_single_organs_lie_on_their_sides():
    grid = space.Grid((5, 5, 6), (68, 68, 70), (0, 0, -80))
    drawn = draw("a", grid, plan=lambda rng: [])
    x = {
        name: centroid(drawn, drawn.structures == number)[0]
        for number, name in enumerate(anatomy.STRUCTURES)
    }
    right = {name for name, side in x.items() if side > 15}
    left = {name for name, side in x.items() if side < -15}
    assert {"right lung", "right kidney", "right adrenal", "liver", "gallbladder"} <= right
    assert {"left lung", "left kidney", "left adrenal", "spleen", "stomach", "heart"} <= left


def test_every_organ_of_btcv_is_in_every_case_of_the_miniature():
    for number in range(25):
        rng = space.generator(0, f"{number}/storage")
        grid = space.field_like(rng, (7, 7, 14), (0, 0, -120))
        drawn = draw(f"img{number}", grid, plan=lambda rng: [])
        counts = np.bincount(drawn.structures.ravel(), minlength=len(anatomy.STRUCTURES))
        for organ in btcv.STRUCTURES.values():
            assert counts[anatomy.STRUCTURES.index(organ)] >= 4, organ


def test_an_enlarged_heart_is_larger():
    sizes = [
        (drawn.structures == anatomy.STRUCTURES.index("heart")).sum()
        for drawn in (only("Cardiomegaly", "", ""), draw("one", plan=lambda rng: []))
    ]
    assert sizes[0] > 1.8 * sizes[1]


def test_a_case_without_findings_is_called_normal():
    drawn = draw("a", plan=lambda rng: [])
    assert drawn.impression in phrases.NORMAL
    assert not drawn.lesion_mask.any()
    positive = {way.split("{")[0] for ways in phrases.POSITIVE.values() for way in ways} - {"The "}
    assert not any(start in drawn.findings for start in positive if len(start) > 12)


def test_every_sentence_ends_once_and_every_label_has_several():
    for table in (phrases.POSITIVE, phrases.NEGATIVE, phrases.SUMMARY):
        assert set(table) == set(LABELS)
        for ways in table.values():
            assert len(set(ways)) >= 2
            assert all(way.count(".") == 1 and way.endswith(".") for way in ways)


def test_no_sentence_is_one_of_the_real_reports(root):
    path = root.parent / "shared/data/reports/ct_rate_labelled_800.csv"
    if not path.exists():
        pytest.skip(f"{path} is missing")
    with path.open(encoding="utf-8", newline="") as file:
        real = "\n".join(row["report_text"].lower() for row in csv.DictReader(file))
    tables = (phrases.POSITIVE, phrases.NEGATIVE, phrases.SUMMARY)
    ways = [way for table in tables for group in table.values() for way in group]
    ways += [*phrases.AIRWAYS, *phrases.LUNGS, *phrases.REST, *phrases.NORMAL]
    # One or two words are nobody's sentence.
    copied = [way for way in ways if len(way.split()) > 3 and way.lower() in real]
    assert copied == []


def test_only_the_findings_that_are_wanted_are_drawn_and_spoken_of():
    settings = sections.Synthetic(
        findings=["Lung nodule", "Emphysema"], prevalence=0.5, normal=0, brief=True
    )
    cases = [draw(f"few{i}", settings=settings) for i in range(20)]
    assert {lesion.label for one in cases for lesion in one.lesions} == {*settings.findings}
    for one in cases:
        told = [lesion.sentence for lesion in one.lesions]
        if told:
            assert len(one.findings) == len(" ".join(told))
            assert all(sentence in one.findings for sentence in told)
        else:
            assert one.findings in phrases.NORMAL


def test_of_what_is_normal_only_the_wanted_findings_are_denied():
    settings = sections.Synthetic(findings=["Lung nodule"], normal=1)
    told = draw("healthy", settings=settings, plan=lambda rng: []).findings
    denied = {label for label, ways in phrases.NEGATIVE.items() if any(way in told for way in ways)}
    assert denied == {"Lung nodule"}


def test_a_finding_that_is_not_known_is_refused():
    with pytest.raises(InputError, match="no finding 'Lung nodul'"):
        draw("a", settings=sections.Synthetic(findings=["Lung nodul"]))


def test_brief_reports_tell_equal_findings_with_equal_words():
    settings = sections.Synthetic(brief=True)
    one, other = (only("Lung nodule", "left", "upper", settings=settings, name=n) for n in "ab")
    assert one.lesions[0].sentence == other.lesions[0].sentence
    assert not any(character.isdigit() for character in one.lesions[0].sentence)
