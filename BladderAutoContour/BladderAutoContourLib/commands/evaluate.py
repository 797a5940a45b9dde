"""`evaluate --cases DIR --output DIR`: score the whole pipeline on cases with a known bladder."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BladderError, Cancelled
from ..events import Events
from ..failures import as_bladder_error
from ..output_files import check_output
from .engine_arguments import add_engine_arguments, load_engine
from .roi_names import add_roi_argument, roi_names

if TYPE_CHECKING:
    from ..evaluation.accuracy import CaseResult
    from ..evaluation.cases import CaseFolder
    from ..evaluation.worst_cases import WorstCases
    from ..pipeline.engine import Engine

SHOWN = "These weights were shown this patient in training: what they score here is no test of them."

HELP = "Score the whole pipeline on cases with a known bladder: every case as CSV and JSON, plots, the worst cases."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "--cases",
        required=True,
        type=Path,
        metavar="DIR",
        help="a case, or a folder of cases: each with ct (DICOM folder) or ct.nrrd, and bladder.nrrd or RTSTRUCT.dcm",
    )
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder for evaluation.csv, evaluation.json, volumes.png, reliability.png and worst_cases.png",
    )
    add_roi_argument(parser)
    add_engine_arguments(parser)


def run(arguments: argparse.Namespace, events: Events) -> int:
    """Evaluate every case. Raises the family's errors; those of single cases after the others are done and written."""
    from ..evaluation.cases import find_cases  # here and below, because SimpleITK and torch come with it

    cases = find_cases(arguments.cases)
    check_output(arguments.output)
    engine = load_engine(arguments, events)
    from ..evaluation.report import as_text, write_evaluation
    from ..evaluation.worst_cases import WorstCases

    worst = WorstCases()
    results, failures = _evaluate_all(cases, roi_names(arguments), engine, worst, events)
    write_evaluation(arguments.output, results, engine.plan, engine.device, worst.sheet())
    print(as_text(results), flush=True)
    events.result(arguments.output)
    if failures:
        sentence = f"{len(failures)} of {len(cases)} cases could not be evaluated. {failures[0].message}"
        raise type(failures[0])(sentence, files=[file for failure in failures for file in failure.files])
    return 0


def _evaluate_all(
    cases: "Sequence[CaseFolder]", names: Sequence[str], engine: "Engine", worst: "WorstCases", events: Events
) -> "tuple[list[CaseResult], list[BladderError]]":
    from ..evaluation.accuracy import FAILED, CaseResult, evaluate_case
    from ..evaluation.cases import read_case
    from ..evaluation.people import identities, recognised

    results: list[CaseResult] = []
    failures: list[BladderError] = []
    for number, case in enumerate(cases):
        events.progress("evaluate", number / len(cases))
        try:
            known = read_case(case, *names)
            for note in known.notes(case.name):
                events.note(note)
            result = evaluate_case(case.name, known, engine, events.cancellation.check, worst)
            if recognised(identities(case), engine.plan.training):
                result = dataclasses.replace(result, shown=True, message=f"{SHOWN} {result.message}".rstrip())
                events.note(f"{case.name}: {SHOWN}")
            results.append(result)
        except Cancelled:
            raise
        except Exception as error:
            failure = as_bladder_error(error)
            if failure is None:
                raise
            failures.append(failure)
            results.append(CaseResult(case.name, FAILED, message=failure.message))
            events.note(f"{case.name}: {failure.message}")
    events.progress("evaluate", 1.0)
    return results, failures
