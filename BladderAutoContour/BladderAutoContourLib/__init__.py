"""Bladder Auto-Contour: the engine. It contours the bladder in pelvic CT and knows neither Slicer nor Qt."""

__version__ = "0.1.0"
SOFTWARE_NAME = "Bladder Auto-Contour"
