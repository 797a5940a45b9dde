"""Volumes and their geometry, files, resampling, components. numpy and SimpleITK; `geometry` is numpy alone."""
