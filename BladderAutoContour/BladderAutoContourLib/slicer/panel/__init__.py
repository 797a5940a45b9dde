"""What is seen: the sections of the panel, its lists and its dialog."""
