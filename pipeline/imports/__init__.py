"""A table of runs that others made -> the runs, evaluations and tasks of a study.

A table passes through these modules in order: ``definition`` is what the config asks for,
``reading`` the table as it stands, ``guess`` the columns that the config does not name,
``history`` the last row of each run, ``quantities`` numbers in the project's units, ``checks``
everything that looks wrong, ``table`` the rows that are left. ``columns`` and ``units`` say what
can be imported and how it can be written.
"""


class ImportRefusedError(ValueError):
    """A table that is not imported; the message names the file, rows and columns, and the cure."""
