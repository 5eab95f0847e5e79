"""The command line door: docker's grammar, one file per verb."""
