"""Jobs: what a script is given, typed and checked, and the command line that all scripts share."""
