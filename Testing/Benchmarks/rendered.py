"""The scans of the frozen test set, rendered once for several benchmarks."""

from pathlib import Path

import numpy as np
from BladderAutoContourLib.imaging.volume import Volume
from BladderAutoContourLib.phantom.case import GENERATOR_VERSION
from BladderAutoContourLib.phantom.render import render
from BladderAutoContourLib.phantom.test_set import FIRST_SEED, TestCase

CACHE_HELP = "keep the rendered CTs here, or take them from it"


def scan_of(test: TestCase, is_there: bool, cache: Path | None) -> tuple[Volume, np.ndarray]:
    """The case's CT and its bladder, boolean (z, y, x): rendered, or as an earlier run left them in `cache`."""
    kept = cache / f"{GENERATOR_VERSION}-{FIRST_SEED}-{test.name}.npz" if cache else None
    if kept and kept.exists():
        with np.load(kept) as arrays:
            return Volume(arrays["hu"], test.scan.geometry), arrays["bladder"]
    rendered = render(test.case, test.scan.geometry, with_bladder=is_there)
    hu = rendered.stored_hu()
    bladder = rendered.bladder.numpy() >= 0.5
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial.npz")
        np.savez(partial, hu=hu, bladder=bladder)
        partial.replace(kept)
    return Volume(hu, test.scan.geometry), bladder
