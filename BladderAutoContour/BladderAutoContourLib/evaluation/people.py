"""Who the cases show, as far as their files tell: nobody is trained on under one name and judged by under another."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..dicom.reading import header_texts
from ..dicom.scan import files_below
from ..dicom.structure_reader import STRUCTURE_SET
from ..errors import InputError
from ..imaging.files import is_volume_file
from .cases import CT_IMAGES, CaseFolder

KEYWORDS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
ROUNDS = 100_000
"""Of a seal's hash: some 0.03 s a guess. With another number nobody in the seals of older weights is recognised."""


@dataclass(frozen=True)
class Person:
    """One person's cases, by name, and everything that tells this person from others."""

    cases: tuple[CaseFolder, ...]
    identities: frozenset[str]


def people(cases: Sequence[CaseFolder]) -> list[Person]:
    """The people in cases, those that share an identity being one person's; in the order of their first cases.

    Raises InputError where a file cannot be read.
    """
    found: list[Person] = []
    for case in cases:
        own = identities(case)
        same = [person for person in found if person.identities & own]
        found = [person for person in found if person not in same]
        together = [*(one for person in same for one in person.cases), case]
        known = own.union(*(person.identities for person in same))
        found.append(Person(tuple(sorted(together, key=lambda one: one.name)), known))
    return sorted(found, key=lambda person: person.cases[0].name)


def identities(case: CaseFolder) -> frozenset[str]:
    """PatientID, study and series of a case's CT, from the headers of its files; of a volume file its bytes' hash.

    And PatientID and study of its structure set: of a volume file's patient, nothing else tells. An empty PatientID is
    none. The same CT as a volume file compressed otherwise is not recognised. Files that are no CT images tell nothing;
    the case's reader judges them. Raises InputError where a file cannot be read.
    """
    told = set()
    if not is_volume_file(case.reference):
        told |= _told_by(case.reference, (STRUCTURE_SET,), KEYWORDS[:2])
    if not case.ct.is_file():
        below = (folder / name for folder, names in files_below(case.ct, _refuse) for name in names)
        files = (path for path in below if path.is_file())
        return frozenset(told.union(*(_told_by(path, CT_IMAGES, KEYWORDS) for path in files)))
    told.add(f"volume {digest(case.ct)}")
    return frozenset(told)


def _refuse(fault: OSError) -> None:
    raise InputError(f"{fault.filename} cannot be read: {fault.strerror or fault}.") from fault


def digest(path: Path) -> str:
    """SHA-256 of a file. Raises InputError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as fault:
        raise InputError(f"{path} cannot be read: {fault.strerror or fault}.", [path]) from fault


def _told_by(path: Path, classes: Collection[str], keywords: Sequence[str]) -> set[str]:
    """What a DICOM file of one of these SOP classes says under the keywords."""
    sop_class, *values = header_texts(path, "SOPClassUID", *keywords)
    if sop_class not in classes:
        return set()
    return {f"{keyword} {value}" for keyword, value in zip(keywords, values, strict=True) if value}


def sealed(known: Collection[str]) -> dict[str, Any]:
    """Identities as weights may carry them: hashes by which a known person is recognised, and that name nobody.

    They are pseudonyms: whoever has the weights can guess a PatientID and try it, and where such numbers are short, all
    of them. The salt comes from all identities: it is another in each training, and the same when that is resumed.
    """
    salt = hashlib.sha256("\n".join(sorted(known)).encode("utf-8")).hexdigest()
    return {"salt": salt, "identities": sorted(_seal(one, salt) for one in known)}


def recognised(known: Collection[str], training: Mapping[str, Any]) -> bool:
    """Whether weights with this record of their `training` were shown a person, or weights that they began from."""
    return any(_seal(one, seal["salt"]) in seal["identities"] for seal in _seals(training) for one in known)


def _seals(training: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "shown" in training:
        yield training["shown"]
    if isinstance(origin := training.get("start_from"), Mapping):
        yield from _seals(origin["training"])


def _seal(identity: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", identity.encode("utf-8"), bytes.fromhex(salt), ROUNDS).hex()
