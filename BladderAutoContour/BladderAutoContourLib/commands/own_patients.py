"""A hospital's own patients for `train`: who trains and who is held out, and what both are read as."""

import argparse
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BladderError, InputError, UsageError
from ..output_files import write_text
from .roi_names import add_roi_argument, roi_names

if TYPE_CHECKING:
    from ..evaluation.before_after import Judged
    from ..evaluation.cases import CaseFolder, KnownCase
    from ..evaluation.people import Person
    from ..events import Events
    from ..networks.plan import StagePlan
    from ..pipeline.engine import Engine
    from ..training.patients import Patient

HELD_OUT_SHARE = 0.2
MOST_GAPS = 0.1
"""Of the slices from a bladder's first to its last, so many may lack a contour: a slip, not a habit."""
SPLIT = "patients.json"


def add_patient_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which patients there are and which of them are held out."""
    parser.add_argument(
        "--patients",
        type=Path,
        metavar="DIR",
        help="folder of own patients: each a folder with ct (DICOM) or ct.nrrd, and bladder.nrrd or RTSTRUCT.dcm",
    )
    add_roi_argument(parser)
    parser.add_argument(
        "--hold-out",
        action="append",
        metavar="NAME",
        help="folder of a patient that is not trained on, but judged by (may be repeated)",
    )
    parser.add_argument(
        "--hold-out-share",
        type=float,
        metavar="SHARE",
        help=f"without --hold-out: hold out about this share, at least one, chosen by their names ({HELD_OUT_SHARE})",
    )


@dataclass(frozen=True)
class OwnPatients:
    """Patients on disk, and the names that the bladder may have in their structure sets.

    identities: of those who are shown. fingerprints: of each case, of all that tells its person and a volume file's
    voxels.
    """

    shown: "tuple[CaseFolder, ...]"
    held_out: "tuple[CaseFolder, ...]"
    roi_names: tuple[str, ...]
    identities: frozenset[str]
    fingerprints: Mapping[str, str]

    def seal(self) -> dict[str, Any]:
        """What the weights keep of those who are shown, for `find_patients` to recognise them by."""
        from ..evaluation.people import sealed

        return sealed(self.identities)

    def read(self, case: "CaseFolder") -> "KnownCase":
        """Read one. Raises InputError: the readers', a volume that is no CT of a pelvis, a contour full of gaps."""
        from ..evaluation.cases import KnownCase, read_case
        from ..pipeline.suitability import check_suitable, within_scale, without_padding

        try:
            known = read_case(case, *self.roi_names)
            check_suitable(known.ct)
            _expect_learnable(case, known)
        except BladderError as error:
            raise type(error)(f"The patient in {case.name} cannot be used. {error.message}", error.files) from error
        return KnownCase(within_scale(without_padding(known.ct)), known.bladder, known.findings)

    def expect_usable(self, events: "Events") -> None:
        """Read everybody once, before what takes long. Raises InputError, which names all who cannot be used."""
        failures: list[BladderError] = []
        cases = (*self.held_out, *self.shown)
        for number, case in enumerate(cases):
            events.progress("check patients", number / len(cases))
            try:
                self.read(case)
            except BladderError as failure:
                failures.append(failure)
        events.progress("check patients", 1.0)
        if failures:
            sentences = "\n".join(failure.message for failure in failures)
            raise type(failures[0])(sentences, [file for failure in failures for file in failure.files])

    def reader(self, events: "Events") -> "Callable[[StagePlan], Sequence[Patient]]":
        """A function that reads those who are shown onto a stage's grid, once for each grid."""
        told = set()

        @cache
        def on_grid(stage: "StagePlan") -> "Sequence[Patient]":
            patients = []
            for number, case in enumerate(self.shown):
                events.progress("read patients", number / len(self.shown))
                known = self.read(case)
                if case not in told:
                    _tell(case, known, events)
                told.add(case)
                patients.append(on_stage(known, stage))
            events.progress("read patients", 1.0)
            return tuple(patients)

        return on_grid

    def judge(self, engine: "Engine", step: str, events: "Events") -> "Judged":
        """Contour and score those who are held out. Raises InputError."""
        from ..evaluation.accuracy import evaluate_case
        from ..evaluation.before_after import Judged

        results = []
        for number, case in enumerate(self.held_out):
            events.progress(step, number / len(self.held_out))
            known = self.read(case)
            _tell(case, known, events)
            results.append(evaluate_case(case.name, known, engine, events.cancellation.check))
        events.progress(step, 1.0)
        return Judged(engine.plan, results)

    def keep_split(self, output: Path) -> None:
        """Write down who is held out, by which contours. Raises InputError where the folder's training had others."""
        from ..evaluation.people import digest
        from ..training.record import has_begun

        path = output / SPLIT
        split = {
            "shown": [case.name for case in self.shown],
            "held_out": [case.name for case in self.held_out],
            "roi_names": list(self.roi_names),
            "contours": {case.name: digest(case.reference) for case in (*self.shown, *self.held_out)},
            "people": dict(self.fingerprints),
        }
        text = json.dumps(split, indent=2) + "\n"
        begun = any(has_begun(folder) for folder in output.iterdir() if folder.is_dir())
        if begun and path.exists() and path.read_text(encoding="utf-8") != text:
            raise InputError(
                f"The training in {output} was begun with other patients shown or held out, or with other CTs or "
                "contours of them: going on would mix both. Choose another folder, or the patients as they were.",
                [path],
            )
        write_text(path, text)


def _expect_learnable(case: "CaseFolder", known: "KnownCase") -> None:
    """Raise InputError for what would teach the networks wrong: a CT of unknown orientation, slices left out."""
    from ..imaging.files import is_volume_file, says_orientation

    if is_volume_file(case.ct) and not says_orientation(case.ct):
        raise InputError(
            f"{case.ct.name} does not say how the patient lies in it, and the networks would learn it as it happens to "
            "lie. Take the DICOM series, or a file with its orientation.",
            [case.ct],
        )
    # the planes across the patient, along whichever axis of its file a volume has them
    across = 2 - known.ct.geometry.longitudinal_axis
    drawn = np.flatnonzero(known.bladder.any(axis=tuple({0, 1, 2} - {across})))
    span = int(drawn[-1] - drawn[0]) + 1 if drawn.size else 0
    if span - len(drawn) > max(1, MOST_GAPS * span):
        raise InputError(
            f"{span - len(drawn)} of the {span} slices from the first to the last of its bladder have no contour, and "
            "the networks would learn the gaps. Interpolate the structure, or take the CT that it was drawn on.",
            [case.reference],
        )


def _tell(case: "CaseFolder", known: "KnownCase", events: "Events") -> None:
    for note in known.notes(case.name):
        events.note(note)


def find_patients(arguments: argparse.Namespace, notes: Mapping[str, Any]) -> OwnPatients:
    """The patients of a command line, divided: all that shows one person on one side. No pixel of DICOM is read yet.

    notes: of the training plan, which tell whom it, or the weights that it starts from, were shown. Raises InputError
    and UsageError: nobody to show or to hold out, one person on both sides, or held out though it was shown there.
    """
    from ..evaluation.cases import find_cases
    from ..evaluation.people import people, recognised

    persons = people(find_cases(arguments.patients))
    if len(persons) < 2:
        raise InputError(
            f"There is one patient in {arguments.patients}: nobody could be held out to judge the training by. Add "
            "more. Folders with one PatientID or study are one patient's: people who were all given one in its place "
            "have to be exported again, each under an own.",
            [arguments.patients],
        )
    if arguments.hold_out:
        held_out = _named(persons, arguments.hold_out, arguments.patients)
    else:
        share = HELD_OUT_SHARE if arguments.hold_out_share is None else arguments.hold_out_share
        names = choose_held_out([person.cases[0].name for person in persons], share)
        held_out = [person for person in persons if person.cases[0].name in names]
    shown = [person for person in persons if person not in held_out]
    if not shown:
        raise UsageError("All patients are held out: nobody is left to train on. Hold out fewer.")
    known_from = arguments.start_from or arguments.plan  # a plan that a training has kept tells of its patients, too
    for person in held_out:
        if recognised(person.identities, notes):
            raise InputError(
                f"{known_from.name} was trained on the patient in {person.cases[0].name}, who is to be held out: it "
                "would be judged by what it has seen. Hold out others (--hold-out), or start from other weights.",
                [known_from],
            )
    return OwnPatients(
        _cases(shown),
        _cases(held_out),
        roi_names(arguments),
        frozenset().union(*(person.identities for person in shown)),
        {
            case.name: hashlib.sha256("\n".join(sorted(person.identities)).encode("utf-8")).hexdigest()
            for person in persons
            for case in person.cases
        },
    )


def _named(persons: "Sequence[Person]", names: Sequence[str], folder: Path) -> "list[Person]":
    """The people whose folders have these names. Raises UsageError: no such folder, not all folders of a person."""
    if strangers := sorted(set(names) - {case.name for person in persons for case in person.cases}):
        raise UsageError(f"There is no patient {strangers[0]} in {folder} to hold out.")
    for person in persons:
        out, remaining = (
            [case.name for case in person.cases if (case.name in names) is side] for side in (True, False)
        )
        if out and remaining:
            raise UsageError(
                f"{out[0]} and {remaining[0]} in {folder} show one patient (PatientID, study, series or file are the "
                "same), who cannot be both held out and trained on. Hold out both, or neither."
            )
    return [person for person in persons if person.cases[0].name in names]


def _cases(persons: "Sequence[Person]") -> "tuple[CaseFolder, ...]":
    return tuple(sorted((case for person in persons for case in person.cases), key=lambda case: case.name))


def choose_held_out(names: Sequence[str], share: float) -> set[str]:
    """The names whose hash is small: about `share` of them, at least one, never all.

    A name whose hash is below `share` stays held out when others come; one that was chosen because no hash is, or was
    not because all are, may change sides. Raises UsageError for a share that holds out none or all.
    """
    if not 0 < share < 1:
        raise UsageError(
            f"A share of {share:g} holds out nobody or everybody: without patients that it has not seen, a training "
            "cannot be judged. Choose a share between 0 and 1, such as 0.2."
        )
    places = {name: int(hashlib.sha256(name.encode("utf-8")).hexdigest()[:8], 16) / 2**32 for name in names}
    ordered = sorted(names, key=places.__getitem__)
    count = sum(place < share for place in places.values())
    return set(ordered[: min(max(count, 1), len(ordered) - 1)])


def on_stage(case: "KnownCase", stage: "StagePlan") -> "Patient":
    """A whole CT and the share of each voxel inside its bladder, on a grid of the stage's spacing."""
    from ..imaging.resample import resample_to
    from ..imaging.volume import Volume
    from ..pipeline.localise import coarse_copy
    from ..training.patients import Patient

    hu = coarse_copy(case.ct, stage)
    bladder = Volume(case.bladder.astype(np.uint8), case.ct.geometry)
    label = resample_to(bladder, hu.geometry, fill=0)
    return Patient(np.rint(hu.array).astype(np.int16), label.array.astype(np.float16))
