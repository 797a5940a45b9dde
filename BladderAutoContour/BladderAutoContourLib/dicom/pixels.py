"""Stored values of CT images, as Hounsfield units."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import SimpleITK
from pydicom.uid import UID

from ..errors import InputError
from .reading import DamagedDicomError, NotDicomError, open_dataset
from .scan import WORKERS, ImageHeader

AIR_HU = -1024
"""Values below (padding outside the scan circle: -2000, -3024...) are raised to this."""
PADDING_HU = (-900.0, 3071.0)
"""A declared padding value between these looks like tissue and is not believed: some scanners declare 0."""
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2",
          "1.2.840.10008.1.2.5")  # fmt: skip
"""Implicit, explicit, deflated, big endian, RLE: pydicom decodes them with numpy alone. SimpleITK decodes the rest."""


def read_hu(images: Sequence[ImageHeader], progress: Callable[[float], None] | None = None) -> np.ndarray:
    """HU of images of one size, (z, y, x): int16 where rescaling is exact in it (above 32767 cut off), else float32.

    Each image is rescaled by its own slope and intercept. Raises InputError naming an image that cannot be decoded.
    """
    whole = all(
        image.bits_allocated <= 16 and image.slope.is_integer() and image.intercept.is_integer() for image in images
    )
    array = np.empty((len(images), images[0].rows, images[0].columns), np.int16 if whole else np.float32)

    def fill(z: int) -> None:
        array[z] = _slice_hu(images[z], array.dtype)

    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for done, _ in enumerate(pool.map(fill, range(len(images))), start=1):
                if progress is not None and (done % 8 == 0 or done == len(images)):
                    progress(done / len(images))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return array


def same_pixels(one: ImageHeader, other: ImageHeader) -> bool:
    """Whether two images show the same thing: equal rescaled values."""
    return np.array_equal(_slice_hu(one, np.dtype(np.float32)), _slice_hu(other, np.dtype(np.float32)))


def _slice_hu(image: ImageHeader, dtype: np.dtype) -> np.ndarray:
    stored = _stored_values(image)
    whole = dtype == np.int16
    wide = np.int32 if whole else np.float32
    hu = stored.astype(wide)
    if image.slope != 1:
        hu *= wide(image.slope)
    if image.intercept != 0:
        hu += wide(image.intercept)
    if image.padding is not None:
        padding_hu = image.padding * image.slope + image.intercept
        if not PADDING_HU[0] < padding_hu < PADDING_HU[1]:
            hu[stored == image.padding] = AIR_HU
    return np.clip(hu, AIR_HU, 32767 if whole else None)


def _stored_values(image: ImageHeader) -> np.ndarray:
    """(y, x) values as stored, before rescaling."""
    try:
        if image.pixel_offset is not None:
            count = image.rows * image.columns
            kind = "<i2" if image.signed else "<u2"
            stored = np.fromfile(image.path, kind, count, offset=image.pixel_offset)
        elif image.transfer_syntax in NATIVE:
            stored = open_dataset(image.path, pixels=True).pixel_array
        else:
            stored = _decode(image)
        return stored.reshape(image.rows, image.columns)
    except (
        NotDicomError,
        DamagedDicomError,
        OSError,
        RuntimeError,
        ValueError,
        AttributeError,
        NotImplementedError,
    ) as fault:
        syntax = UID(image.transfer_syntax).name
        raise InputError(
            f"The pixels of {image.path.name} cannot be read ({syntax}): the file is cut off, damaged, or compressed "
            "in a way that is not supported. Copy it from the archive again, uncompressed.",
            [str(image.path)],
        ) from fault


def _decode(image: ImageHeader) -> np.ndarray:
    """Compressed values through GDCM in SimpleITK, which rescales by itself: undone here."""
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(image.path))
    hu = SimpleITK.GetArrayFromImage(reader.Execute())
    return np.rint((hu.astype(np.float64) - image.intercept) / (image.slope or 1.0)).astype(np.int32)
