"""The structure set of a contour: the last look, the request, and where the file goes."""
