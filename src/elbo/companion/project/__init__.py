"""The checkout, its chapters and their profiles. Runs in every process; imports the standard library and PyYAML."""
