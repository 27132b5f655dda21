"""A table of rows in, a folder of speech out: table -> plan -> run -> results, resumable at any point."""
