"""CTs and contours in Slicer's scene."""
