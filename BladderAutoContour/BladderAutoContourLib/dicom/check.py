"""Is this structure set fit to act on? Ours after writing, or any maker's: attributes, references, geometry."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from .check_attributes import attribute_findings
from .check_contours import contour_findings
from .check_references import reference_findings
from .ct_series import CtSeries
from .findings import Finding
from .structure_reader import StructureSet, read_structure_set

ELSEWHERE = ("patient-mismatch", "wrong-frame", "mixed-frames")
"""Findings on a structure set whose contours lie in another patient, or cannot be placed in the CT."""
ORDER = {"error": 0, "warning": 1, "note": 2}


def check_rtstruct(path: Path, ct: CtSeries | None) -> list[Finding]:
    """Findings on the structure set of a file, errors first; against its CT where given. InputError: unreadable."""
    return check_structure_set(read_structure_set(path), ct)


def expect_of_ct(structures: StructureSet, ct: CtSeries, codes: Sequence[str]) -> None:
    """Raise InputError where an error of one of these codes says that the structure set is of another CT."""
    for finding in check_structure_set(structures, ct):
        if finding.severity == "error" and finding.code in codes:
            raise InputError(
                f"{structures.path.name} does not belong to this CT: {finding.sentence}.", [structures.path]
            )


def check_structure_set(structures: StructureSet, ct: CtSeries | None) -> list[Finding]:
    """Findings on a structure set that was read, errors first. Without a CT, only what the file says by itself."""
    findings = [
        *attribute_findings(structures.dataset),
        *reference_findings(structures, ct),
        *contour_findings(structures, ct),
    ]
    return sorted(findings, key=lambda finding: ORDER[finding.severity])
