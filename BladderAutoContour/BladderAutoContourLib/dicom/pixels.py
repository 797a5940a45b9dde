"""Hounsfield units of CT images."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..errors import InputError
from .decode import stored_values
from .image_header import ImageHeader
from .scan import WORKERS

LOWEST_HU = -1024
"""The least that air measures: lower values become this, unless they are padding."""
OUTSIDE_HU = -2000
"""What padding outside the scanner's round field becomes, whatever the scanner writes there."""
PADDING_BELOW_HU = -1500
"""Scanners pad with -2000, -3024 and the like; air with its noise is never so low."""
PADDING_HU = (-900.0, 3071.0)
"""A declared padding value between these looks like tissue and is not believed: some scanners declare 0."""
LARGEST_RESCALE = 1e6
"""A greater slope or intercept, or a slope of 0, is no rescaling to HU but damage."""
FRAMES_AT_ONCE = 16
"""Frames of one file that are decoded between two words of progress."""


def read_hu(images: Sequence[ImageHeader], progress: Callable[[float], None] | None = None) -> np.ndarray:
    """HU of images of one size, (z, y, x): int16 where rescaling is exact in it (above 32767 cut off), else float32.

    Each image is rescaled by its own slope and intercept. Raises InputError naming an image that cannot be decoded.
    """
    for image in images:
        _refuse_impossible_rescale(image)
    whole = all(
        image.bits_allocated <= 16 and image.slope.is_integer() and image.intercept.is_integer() for image in images
    )
    array = np.empty((len(images), images[0].rows, images[0].columns), np.int16 if whole else np.float32)

    def fill(places: Sequence[int]) -> int:
        for z, stored in zip(places, stored_values([images[z] for z in places]), strict=True):
            array[z] = _rescaled(images[z], stored, array.dtype)
        return len(places)

    done = told = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for filled in pool.map(fill, _by_file(images)):
                done += filled
                if progress is not None and (done - told >= 8 or done == len(images)):
                    told = done
                    progress(done / len(images))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return array


def same_pixels(one: ImageHeader, other: ImageHeader) -> bool:
    """Whether two images show the same thing: equal rescaled values."""
    values = []
    for image in (one, other):
        _refuse_impossible_rescale(image)
        values.append(_rescaled(image, next(stored_values([image])), np.dtype(np.float32)))
    return np.array_equal(*values)


def _by_file(images: Sequence[ImageHeader]) -> list[list[int]]:
    """Places of images that are decoded together: those of one file, some at a time."""
    files: dict[object, list[int]] = defaultdict(list)
    for place, image in enumerate(images):
        files[image.path].append(place)
    return [
        places[first : first + FRAMES_AT_ONCE]
        for places in files.values()
        for first in range(0, len(places), FRAMES_AT_ONCE)
    ]


def _refuse_impossible_rescale(image: ImageHeader) -> None:
    possible = abs(image.slope) <= LARGEST_RESCALE and abs(image.intercept) <= LARGEST_RESCALE  # False for a NaN
    if not possible or image.slope == 0:
        raise InputError(
            f"The rescale slope or intercept of {image.name} is impossible: its Hounsfield units are unknown. Copy it "
            "from the archive again.",
            [str(image.path)],
        )


def _rescaled(image: ImageHeader, stored: np.ndarray, dtype: np.dtype) -> np.ndarray:
    whole = dtype == np.int16
    wide = np.float32 if not whole else np.int32 if image.slope == 1 else np.int64
    hu = stored.astype(wide)
    if image.slope != 1:
        hu *= wide(image.slope)
    if image.intercept != 0:
        hu += wide(image.intercept)
    if image.padding is not None:
        padding_hu = image.padding * image.slope + image.intercept
        if not PADDING_HU[0] < padding_hu < PADDING_HU[1]:
            hu[stored == image.padding] = LOWEST_HU if PADDING_BELOW_HU < padding_hu <= PADDING_HU[0] else OUTSIDE_HU
    below = hu < LOWEST_HU
    if below.any():
        hu[below] = np.where(hu[below] <= PADDING_BELOW_HU, OUTSIDE_HU, LOWEST_HU)
    return np.minimum(hu, 32767) if whole else hu
