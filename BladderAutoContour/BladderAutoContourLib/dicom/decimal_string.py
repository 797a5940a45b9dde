"""Numbers as DICOM decimal strings (DS): at most 16 bytes, PS3.5 6.2."""

from collections.abc import Iterable

import numpy as np

LONGEST = 16
COORDINATE_DECIMALS = 4
"""A ten-thousandth of a millimetre: far below what any image resolves."""
LARGEST_COORDINATE = 1e10
"""Below it, sign, digits, point and decimals fit into 16 bytes."""


def decimal_string(value: float, decimals: int = 4) -> str:
    """`value` with at most `decimals` places, no trailing zeros, no "-0". Raises ValueError past 16 bytes."""
    for places in range(decimals, -1, -1):
        text = f"{value:.{places}f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        if text in ("-0", ""):
            text = "0"
        if len(text) <= LONGEST:
            return text
    raise ValueError(f"{value!r} does not fit a decimal string")


def decimal_strings(values: Iterable[float], decimals: int = 4) -> list[str]:
    """One decimal string a value."""
    return [decimal_string(float(value), decimals) for value in values]


def joined_coordinates(values: np.ndarray) -> str:
    """Coordinates in mm as the value of one DS attribute, separated by backslashes; as `decimal_string` writes each.

    Made for contours of thousands of points: one call for all of them. Raises ValueError past 16 bytes.
    """
    if values.size and not np.abs(values).max() < LARGEST_COORDINATE:
        return "\\".join(decimal_strings(values, COORDINATE_DECIMALS))
    scale = 10.0**COORDINATE_DECIMALS
    # The shortest text of a rounded number has no trailing zeros but ".0"; adding 0 turns -0 into 0.
    rounded = np.rint(values * scale) / scale + 0.0
    return ("\\".join(map(repr, rounded.tolist())) + "\\").replace(".0\\", "\\")[:-1]
