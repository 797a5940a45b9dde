"""Bladder Auto-Contour: the engine, which contours the bladder in pelvic CT and knows neither Slicer nor Qt.

Beside it, in `slicer`, the module that shows it to a clinician and reaches it as a process alone.
"""

__version__ = "0.1.0"
SOFTWARE_NAME = "Bladder Auto-Contour"
TEMPORARY_PREFIX = ".bladder-auto-contour-"
"""What the folder of an unfinished result is called at first, inside its result folder."""
ARGUMENTS_VARIABLE = "BLADDER_AUTO_CONTOUR_ARGUMENTS"
"""Environment variable with arguments, as JSON, that follow those of the command line. A command line is seen by every
user of the computer, and on Windows the launcher of Slicer 5.10 garbles what is not ASCII in it."""
