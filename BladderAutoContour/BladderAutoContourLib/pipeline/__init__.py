"""The walk of one CT: read, localise, segment, restore, decide, write, report; and its corrections."""
