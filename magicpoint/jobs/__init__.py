"""Whole jobs on files, one a verb of the command line. Imports every room but `cli`."""
