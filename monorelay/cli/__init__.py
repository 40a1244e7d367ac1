"""The command ``monorelay``: one file per sub-command, each with ``add`` (its arguments) and a function that runs it."""
