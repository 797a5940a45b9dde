"""A stand-in for the Slicer application: PythonQt's rules over PySide6, Slicer's own MRML libraries underneath."""
