"""Corrections that propagate: what a clinician changed on a few slices carries over to their neighbours."""
