"""One file a command, each with `HELP`, `add_arguments(parser)` and `run(arguments, events)`; and what some share."""
