"""How well and how fast the whole pipeline works: cases with a known bladder scored, a run measured."""
