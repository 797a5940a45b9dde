"""Paired intervals and the ablation's table: checked against what a person works out by hand."""

import numpy as np
import pytest
from BladderAutoContourLib.evaluation.ablation.paired import interval, paired_interval
from BladderAutoContourLib.evaluation.ablation.scores import COMPARISONS, PAPER_DSC, TITLES, as_markdown, report
from BladderAutoContourLib.training.ablation import ROWS


def test_the_interval_of_three_cases_is_the_one_worked_out_by_hand() -> None:
    # Of 27 draws of three from (0, 0, 3) the mean is 0 in 8, 1 in 12, 2 in 6 and 3 in 1 (0.30, 0.44, 0.22, 0.04).
    values = np.array([0.0, 0.0, 3.0])
    found = interval(values)
    assert (found.mean, found.low, found.high) == (1.0, 0.0, 3.0)
    narrower = interval(values, level=0.5)  # 0.25 lies within the zeros, 0.75 beyond 0.74: among the twos
    assert (narrower.low, narrower.high) == (0.0, 2.0)


def test_pairing_takes_away_what_the_cases_have_in_common() -> None:
    hardness = np.linspace(0.1, 0.9, 30)
    theirs = np.stack([hardness, hardness + 0.02])
    ours = theirs + 0.01
    found = paired_interval(ours, theirs)
    assert (found.mean, found.low, found.high) == pytest.approx((0.01, 0.01, 0.01))
    assert interval(ours.mean(axis=0)).low < interval(theirs.mean(axis=0)).high  # which unpaired ones would not show


def test_many_cases_give_the_normal_interval() -> None:
    differences = np.random.default_rng(3).normal(0.02, 0.1, size=400)
    found = interval(differences)
    reach = 1.96 * differences.std() / 20
    assert found.low == pytest.approx(differences.mean() - reach, abs=0.001)
    assert found.high == pytest.approx(differences.mean() + reach, abs=0.001)
    assert interval(differences) == found


def test_trainings_that_contradict_each_other_give_an_interval_that_holds_both() -> None:
    theirs = np.zeros((2, 50))
    ours = np.stack([np.full(50, 0.1), np.full(50, -0.1)])
    found = paired_interval(ours, theirs)
    assert (found.mean, found.low, found.high) == pytest.approx((0.0, -0.1, 0.1))
    with pytest.raises(ValueError, match="not the same"):
        paired_interval(ours, theirs[:1])
    with pytest.raises(ValueError, match="no case"):
        interval(np.array([]))


def case(name: str, dice: float, ml: float = 100.0, stratum: str = "", asd: float | None = 1.0) -> dict:
    distances = dict.fromkeys(("asd_mm", "msd_mm", "hd95_mm"), asd)
    overlap = {"dice": dice, "voe": 1 - dice, "rvd": 0.0}
    return {"case": name, "stratum": stratum, "reference_ml": ml, **overlap, **distances}


def test_the_table_has_the_means_of_the_rows_and_the_differences_of_the_pairs() -> None:
    scores = {
        "v-net": {1: [case("a", 0.5), case("b", 0.7, 30.0, "contrast")]},
        "dual-channel": {
            1: [case("a", 0.6), case("b", 0.7, 30.0, "contrast")],
            2: [case("a", 0.8), case("b", 0.0, 30.0, "contrast", None)],
        },
    }
    found = report(scores)
    row = found["rows"]["dual-channel"]
    assert row["dice"]["mean"] == pytest.approx((0.7 + 0.35) / 2)
    assert row["dice_by_seed"] == {"1": 0.65, "2": 0.4}
    assert (row["metrics"]["asd_mm"], row["nothing_found"]) == (1.0, 1)
    (compared,) = found["comparisons"]
    assert compared["by_seed"] == {"1": 0.05}  # the seed that both have
    assert (compared["difference"]["mean"], compared["won"]) == (0.05, 0.5)
    assert (compared["difference"]["low"], compared["difference"]["high"]) == (0.0, 0.1)
    assert found["dice_by_group"]["dual-channel"]["contrast"] == {"dice": 0.35, "cases": 1}
    assert found["dice_by_group"]["v-net"]["60 to 150 mL"] == {"dice": 0.5, "cases": 1}
    text = as_markdown(found)
    assert "| V-net | 1 | 60.00 (50.00 to 70.00) |" in text
    assert "+5.00 (+0.00 to +10.00) | +5.00 | 50 % |" in text
    scores["dual-channel"][2][1]["case"] = "c"
    with pytest.raises(ValueError, match="different cases"):
        report(scores)


def test_every_row_has_a_title_and_pairs_differ_in_what_is_said() -> None:
    rows = {row.name: row for row in ROWS}
    assert list(rows) == list(TITLES) == list(PAPER_DSC)
    for name, against, what in COMPARISONS:
        ours, theirs = rows[name], rows[against]
        changed = {key for key in ("density_map", "normalised", "crf") if getattr(ours, key) != getattr(theirs, key)}
        told = {"density": "density_map", "normalisation": "normalised", "CRF": "crf", "end": "crf"}
        expected = set(told.values()) if what == "everything" else {told[what.replace("-", " ").split()[0]]}
        assert changed == expected, what
