"""Making a figure again and comparing. Runs in the process of the command; may import numpy and
every floor below, ``run`` too.
"""
