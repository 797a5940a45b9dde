"""Volumes, their geometry, files, resampling, components, distances. numpy and SimpleITK; `geometry` is numpy alone."""
