"""Do the images of one series belong together? One patient, one study, an identifier of its own for every image."""

from collections import Counter
from collections.abc import Callable, Sequence

from ..errors import InputError
from .findings import Finding, name_files
from .image_header import SAME_PATIENT, ImageHeader, file_names

DECISIVE = "PatientID"
"""Of the patient's attributes, the one that tells patients apart; names are also written in two ways."""


def same_name(one: str, other: str) -> bool:
    """Whether two names of a person do not differ but in letter case, or in groups of letters that one of them lacks.

    A name has up to three groups, in Latin letters, ideographs and by sound; each may be absent (PS3.5 6.2.1.1).
    """
    pairs = [(a, b) for a, b in zip(one.casefold().split("="), other.casefold().split("="), strict=False) if a and b]
    return bool(pairs) and all(a == b for a, b in pairs)


def typical(images: Sequence[ImageHeader]) -> ImageHeader:
    """The first of the images that say of the patient what most of them say."""
    most = Counter(image.patient for image in images).most_common(1)[0][0]
    return next(image for image in images if image.patient == most)


def refuse_several_patients(images: Sequence[ImageHeader]) -> None:
    """Raise InputError where images are of several patients or studies: a structure set takes both from one image."""
    _refuse_odd(images, lambda image: image.patient[SAME_PATIENT.index(DECISIVE)], f"patients ({DECISIVE} differs)")
    _refuse_odd(images, lambda image: image.study_uid, "studies")


def belonging_findings(images: Sequence[ImageHeader]) -> list[Finding]:
    """What the images of a series say differently about the patient and about themselves. Values are not quoted.

    Raises InputError where several images have one identifier: a structure set refers to them by it.
    """
    _refuse_same_identifier(images)
    findings = []
    for number, keyword in enumerate(SAME_PATIENT):
        odd = _odd(images, lambda image, number=number: image.patient[number])
        if odd:
            sentence = f"{keyword} of {len(odd)} images is not that of the others"
            findings.append(Finding("mixed-patient", "warning", sentence, tuple(file_names(odd))))
    disagreeing = [image for image in images if image.uid_in_file_header not in ("", image.sop_instance_uid)]
    if disagreeing:
        files = file_names(disagreeing)
        sentence = f"{len(files)} files name themselves by two different identifiers; the image's own is used"
        findings.append(Finding("two-identifiers", "warning", sentence, tuple(files)))
    return findings


def _odd(images: Sequence[ImageHeader], value: Callable[[ImageHeader], object]) -> list[ImageHeader]:
    """The images whose value is not that of most."""
    most = Counter(map(value, images)).most_common(1)[0][0]
    return [image for image in images if value(image) != most]


def _refuse_odd(images: Sequence[ImageHeader], value: Callable[[ImageHeader], object], what: str) -> None:
    odd = _odd(images, value)
    if odd:
        raise InputError(
            f"The series mixes images of different {what}: {name_files([image.name for image in odd])}. "
            "Give the files of one of them only.",
            file_names(odd),
        )


def _refuse_same_identifier(images: Sequence[ImageHeader]) -> None:
    first: dict[tuple[str, int | None], ImageHeader] = {}
    for image in images:
        other = first.setdefault((image.sop_instance_uid, image.frame), image)
        if other is not image:
            raise InputError(
                f"Two images have one identifier ({other.name} and {image.name}): a contour could not tell which of "
                "them it refers to. Export the series from the archive again.",
                file_names([other, image]),
            )
