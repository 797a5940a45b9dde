"""Is this structure set fit to act on? Ours after writing, or any maker's: attributes, references, geometry."""

from pathlib import Path

from .check_attributes import attribute_findings
from .check_contours import contour_findings
from .check_references import reference_findings
from .ct_series import CtSeries
from .findings import Finding
from .structure_reader import StructureSet, read_structure_set

ORDER = {"error": 0, "warning": 1, "note": 2}


def check_rtstruct(path: Path, ct: CtSeries | None) -> list[Finding]:
    """Findings on the structure set of a file, errors first; against its CT where given. InputError: unreadable."""
    return check_structure_set(read_structure_set(path), ct)


def check_structure_set(structures: StructureSet, ct: CtSeries | None) -> list[Finding]:
    """Findings on a structure set that was read, errors first. Without a CT, only what the file says by itself."""
    findings = [
        *attribute_findings(structures.dataset),
        *reference_findings(structures, ct),
        *contour_findings(structures, ct),
    ]
    return sorted(findings, key=lambda finding: ORDER[finding.severity])
