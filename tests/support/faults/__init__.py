"""The book under fire: killed, starved, lied to and damaged at random, it never shows a wrong or half figure.

``make faults`` runs all of it, ``python -m faults kills --count 50 --seed 3`` a part (with ``tests/support`` on the
path). Every case follows from its seed alone, and ends with one line in a tally: tried, wrong. A case that went wrong
names the words that repeat it.

``tally``: counts. ``book``: a book that runs in seconds. ``kills``: commands killed at random moments.
``damage``: bytes changed at random. ``inputs``: bad inputs of many kinds, each a family of its own. ``starved``:
small disks and few resources.
"""
