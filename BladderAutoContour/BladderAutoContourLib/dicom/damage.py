"""Damaged DICOM: whatever pydicom raises on it, as one error. Needs nothing, and changes nothing in pydicom."""

import contextlib
from collections.abc import Iterator


class DamagedDicomError(Exception):
    """The file begins as DICOM, but pydicom cannot make sense of it. Holds no value of the file."""


@contextlib.contextmanager
def making_sense() -> Iterator[None]:
    """Within it, whatever pydicom raises on damaged bytes becomes DamagedDicomError; values are converted on access.

    Keep nothing else within: a fault of our own would look like a damaged file.
    """
    try:
        yield
    except (DamagedDicomError, MemoryError):
        raise
    except Exception as fault:  # nearly anything: struct.error, KeyError, TypeError, RecursionError...
        if isinstance(fault, OSError) and fault.errno is not None:
            raise  # the system's own; pydicom raises bare OSErrors where a sequence ends too early
        raise DamagedDicomError(type(fault).__name__) from fault
