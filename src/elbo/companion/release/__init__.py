"""Releases: the deposit of a version, and checking a file against it. Runs in the process of the command;
may import every floor below.
"""
