"""How well, how fast and how surely the whole pipeline works: cases scored, a run measured, the confidence fitted."""
