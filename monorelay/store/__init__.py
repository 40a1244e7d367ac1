"""What is remembered on disk: one SQLite file, shared by the workers, written behind the requests.

``database.py`` owns the file and the one thread per process that touches it; ``file.py`` opens it, and sets a damaged one aside;
``schema.py`` holds the tables. ``objects.py``, ``lists.py``, ``key_states.py`` and ``balances.py`` say what is remembered;
``glance.py`` and ``health.py`` look at the file from outside. No request ever waits for a write, and no failure of the
disk ever reaches a caller: it is a warning, a gauge and a shorter memory.
"""
