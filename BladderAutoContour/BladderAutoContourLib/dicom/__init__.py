"""CT series in, structure sets out and in, and the checks on both. pydicom, numpy and SimpleITK."""
