"""The walk of one CT: localise, segment, restore, decide, write, report."""
