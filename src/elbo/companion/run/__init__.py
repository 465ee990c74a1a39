"""Executing chapters. Runs in the process of the command, the worker in one of its own; may import
papermill and nbformat, not matplotlib.
"""
