"""The command line: one file a command; nothing else of the package imports it."""
