"""Generated pelves: anatomy by implicit functions, scanner physics, cases. torch and numpy alone."""
