"""Who the cases show, as far as their files tell: nobody is trained on under one name and judged by under another."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..dicom.reading import header_texts
from ..errors import InputError
from .cases import CT_IMAGES, CaseFolder

KEYWORDS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
ROUNDS = 100_000
"""Of a seal's hash: numbers of patients are few enough to be guessed one by one, if a guess costs nothing."""


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

    An empty PatientID is none. The same CT as a volume file compressed otherwise is not recognised. Files that are no
    CT images tell nothing; the case's reader judges them. Raises InputError where a file cannot be read.
    """
    if case.ct.is_file():
        try:
            with case.ct.open("rb") as file:
                return frozenset({f"volume {hashlib.file_digest(file, 'sha256').hexdigest()}"})
        except OSError as fault:
            raise InputError(f"{case.ct} cannot be read: {fault.strerror or fault}.", [case.ct]) from fault
    told = set()
    for path in case.ct.rglob("*"):
        if path.is_file():
            sop_class, *values = header_texts(path, "SOPClassUID", *KEYWORDS)
            if sop_class in CT_IMAGES:
                told |= {f"{keyword} {value}" for keyword, value in zip(KEYWORDS, values, strict=True) if value}
    return frozenset(told)


def sealed(known: Collection[str]) -> dict[str, Any]:
    """Identities as weights may carry them: hashes by which a known person is recognised, and nobody is found out.

    The salt comes from all of them together: it is another in each training, and the same when that is resumed.
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
