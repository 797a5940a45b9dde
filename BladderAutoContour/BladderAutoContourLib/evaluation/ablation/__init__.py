"""What each part of the paper's method is worth: the scores of its seven networks on the same cases, paired."""
