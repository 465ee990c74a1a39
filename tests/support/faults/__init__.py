"""The book under fire: killed, given bad inputs and damaged at random, it never shows a wrong or half figure.

``make faults`` runs all of it, ``python -m faults kills --count 50 --seed 3`` a part (with ``tests/support`` on the
path). The inputs follow from the seed alone; the moment of a kill follows the pace of the machine, too. It ends with a
tally: tried, wrong, and the words that run a case that went wrong again.

``tally``: counts. ``book``: a book that runs in seconds. ``kills``: commands killed at random moments.
``damage``: bytes changed at random. ``inputs``: bad inputs of many kinds, each a family of its own.
"""
