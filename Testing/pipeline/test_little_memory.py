"""A graphics card: it gives what the processor gives, and where it does not suffice, the engine does with less."""

import io
import json

import numpy as np
import pytest
from analytic import Body, ct_of, density_networks, scan_grid
from BladderAutoContourLib.evaluation.accuracy import evaluate_case
from BladderAutoContourLib.evaluation.cases import KnownCase
from BladderAutoContourLib.events import Events
from BladderAutoContourLib.imaging.files import read_volume, write_volume
from BladderAutoContourLib.pipeline.corrections.job import RefineJob, run_refine
from BladderAutoContourLib.pipeline.engine import Contouring, Engine
from BladderAutoContourLib.pipeline.fallback import Workplace
from BladderAutoContourLib.pipeline.inference import Inference
from BladderAutoContourLib.pipeline.reading import Reader
from BladderAutoContourLib.pipeline.result_folder import MASK, REPORT
from correction_scene import dice, scene
from pretend_card import LARGE, Memory, pretended_card

CT = ct_of(Body(), scan_grid())


def contour(engine: Engine) -> Contouring:
    return engine.contour(CT, lambda step, fraction: None)


def fallbacks(contouring: Contouring) -> list[str]:
    return [warning.sentence for warning in contouring.warnings if warning.code == "fallback"]


@pytest.fixture(scope="module")
def plain() -> Contouring:
    return contour(Engine(density_networks(), "cpu"))


@pytest.fixture
def card():
    with pretended_card() as memory:
        yield memory


def full_at_work(memory: Memory) -> Engine:
    """An engine that stands on the card, which then lacks one byte for what the engine needs at work."""
    engine = Engine(density_networks(), "cuda")
    memory.forget_peak()
    contour(engine)
    memory.cap = memory.peak - 1
    return engine


def test_a_card_gives_what_the_processor_gives(card, plain) -> None:
    contouring = contour(Engine(density_networks(), "auto"))
    assert contouring.device.startswith("GPU (pretended)")
    assert not fallbacks(contouring)
    assert card.peak > 0
    assert dice(contouring.mask.array > 0, plain.mask.array > 0) >= 0.998


def test_with_a_byte_too_little_one_network_at_a_time_is_used_and_it_says_so(card, plain) -> None:
    contouring = contour(full_at_work(card))
    (sentence,) = fallbacks(contouring)
    assert "little free memory" in sentence
    assert contouring.device.startswith("GPU (pretended)")
    assert [cost.name for cost in contouring.steps] == [cost.name for cost in plain.steps]
    assert dice(contouring.mask.array > 0, plain.mask.array > 0) >= 0.998


def test_on_a_card_that_others_have_filled_the_processor_computes_and_it_says_so(card, plain) -> None:
    engine = Engine(density_networks(), "cuda")
    card.cap = card.used
    contouring = contour(engine)
    (sentence,) = fallbacks(contouring)
    assert "the processor was used" in sentence
    assert contouring.device.startswith("CPU")
    np.testing.assert_array_equal(contouring.mask.array, plain.mask.array)
    card.cap = LARGE  # the others have gone
    assert not fallbacks(contour(engine))


def test_a_card_that_is_full_before_the_networks_are_loaded_is_tried_again(card) -> None:
    card.cap = 0
    engine = Engine(density_networks(), "auto")
    (sentence,) = fallbacks(contour(engine))
    assert "the processor was used" in sentence
    card.cap = LARGE
    contouring = contour(engine)
    assert not fallbacks(contouring)
    assert contouring.device.startswith("GPU (pretended)")


def test_nothing_stays_on_the_card_but_the_weights(card) -> None:
    engine = Engine(density_networks(), "cuda")
    weights = card.used
    contour(engine)
    assert card.used == weights
    del engine
    assert card.used == 0


def test_corrections_report_that_the_card_was_full(card, tmp_path) -> None:
    pelvis = scene()
    predicted = pelvis.bladder | pelvis.bowel
    touched = np.zeros_like(predicted)
    touched[int(np.flatnonzero(pelvis.bowel.any(axis=(1, 2)))[3])] = True
    volumes = {
        "ct": pelvis.ct,
        "probability": pelvis.probability(predicted),
        "mask": pelvis.volume(np.where(touched, pelvis.bladder, predicted)),
        "touched": pelvis.volume(touched),
    }
    ct, probability, mask, touched_voxels = (tmp_path / f"{name}.nrrd" for name in volumes)
    for name, volume in volumes.items():
        write_volume(volume, tmp_path / f"{name}.nrrd")
    engine, reports, masks = Engine(density_networks(), "cuda"), [], []
    for place, cap in (("card", LARGE), ("full", card.used)):
        card.cap = cap
        job = RefineJob((ct,), mask, tmp_path / place, None, probability, touched_voxels)
        folder = run_refine(job, engine, Events(io.StringIO()), Reader())
        reports.append(json.loads((folder / REPORT).read_text(encoding="utf-8")))
        masks.append(read_volume(folder / MASK).array > 0)
    said = [[note["sentence"] for note in report["warnings"] if note["code"] == "fallback"] for report in reports]
    assert not said[0]
    (sentence,) = said[1]
    assert "little free memory: part of the work was done on the processor" in sentence
    assert dice(*masks) >= 0.998


@pytest.mark.parametrize(
    "words",
    [
        "GET was unable to find an engine to execute this computation",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "HIP out of memory. Tried to allocate 2.00 GiB.",
        "miopenStatusAllocFailed",
    ],
)
def test_a_full_card_is_known_by_what_its_libraries_say_of_it(card, words) -> None:
    def fail_unless_frugal(inference: Inference) -> bool:
        if not inference.frugal:
            raise RuntimeError(words)
        return True

    done = Workplace(density_networks(), "cuda").compute(fail_unless_frugal)
    assert done.result
    assert "little free memory" in done.fallback


def test_an_evaluation_says_where_a_case_was_contoured(card, plain) -> None:
    engine = Engine(density_networks(), "cuda")
    card.cap = card.used
    result = evaluate_case("full", KnownCase(CT, plain.mask.array > 0), engine, lambda: None)
    assert result.row()["device"].startswith("CPU")


def test_another_failure_than_the_cards_is_not_hidden(card) -> None:
    def fail(inference: object) -> None:
        raise RuntimeError("shapes do not agree")

    with pytest.raises(RuntimeError, match="shapes"):
        Workplace(density_networks(), "cuda").compute(fail)
