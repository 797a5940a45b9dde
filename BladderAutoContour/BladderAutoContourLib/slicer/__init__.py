"""The module inside 3D Slicer: panel, logic, the scene's nodes. The engine is reached only as a process."""
