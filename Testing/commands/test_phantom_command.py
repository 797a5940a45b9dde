"""`phantom` in real processes: what no patient can be generated from is refused, and no folder holds two."""

import pytest
from BladderAutoContourLib.commands import ablation, phantom
from BladderAutoContourLib.phantom.case import STRATA
from BladderAutoContourLib.phantom.fields import EXTENTS
from BladderAutoContourLib.training.ablation import ROWS

COARSE = ("--spacing", "9", "9", "12")


def test_a_folder_that_holds_a_case_is_not_written_into(run, tmp_path):
    for series in ((), ("--dicom",)):
        output = tmp_path / f"out{len(series)}"
        options = ("phantom", "--seed", "3", "--output", output, *COARSE, *series)
        assert run(*options).code == 0
        before = {file: file.read_bytes() for file in output.rglob("*") if file.is_file()}
        assert before
        again = run("phantom", "--seed", "2", "--count", "2", "--output", output, "--spacing", "9", "9", "9", *series)
        again.failed_with(6, "output", "case_0003 holds files already", "another output folder")
        assert {file: file.read_bytes() for file in output.rglob("*") if file.is_file()} == before


def test_an_output_that_cannot_be_is_told_before_any_patient_is_generated(run, tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    result = run("phantom", "--seed", "3", "--output", tmp_path / "file" / "out", *COARSE)
    result.failed_with(6, "output", "is a file, not a folder. Choose another output folder.")
    assert "progress" not in [line.get("event") for line in result.events]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--seed", "-1"), "-1 is not a whole number from 0 on"),
        (("--seed", "1.5"), "1.5 is not a whole number from 0 on"),
        (("--seed", "1", "--count", "-2"), "-2 is not a whole number from 1 on"),
        (("--seed", "1", "--spacing", "0", "0", "0"), "0 is no length in mm"),
        (("--seed", "1", "--spacing", "-4", "4", "4"), "-4 is no length in mm"),
        (("--seed", "1", "--spacing", "nan", "4", "4"), "nan is no length in mm"),
    ],
)
def test_what_no_patient_can_be_generated_from_is_refused(run, tmp_path, options, words):
    run("phantom", *options, "--output", tmp_path / "out").failed_with(2, "usage", words)
    assert not (tmp_path / "out").exists()


def test_choices_that_are_listed_again_lest_help_waits_for_torch_are_all_there():
    assert phantom.STRATA == STRATA
    assert tuple(EXTENTS) == phantom.KINDS
    assert tuple(row.name for row in ROWS) == ablation.ROW_NAMES
