"""Seconds and memory of whole runs: cold, warm, and as the CT grows."""
