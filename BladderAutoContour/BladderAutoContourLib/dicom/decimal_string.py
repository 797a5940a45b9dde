"""Numbers as DICOM decimal strings (DS): at most 16 bytes, PS3.5 6.2."""

from collections.abc import Iterable

LONGEST = 16


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
