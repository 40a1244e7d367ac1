"""The command ``monorelay``: one file per sub-command, each with ``add`` (its arguments) and a function that runs it.

main.py command.py                  the way in, and what the sub-commands share
run.py demo.py                      serve
check.py live.py                    would it hold? do the keys work?
doctor.py findings.py machine_findings.py file_findings.py      what on this machine is in the way
routes.py providers.py balances.py  what is compiled, what the keys have left
explain.py explained.py             where a request would go, and how that is told
matrix.py table.py                  values for these, and rows of text
curl.py translate.py                a recent call as a command; a body in another dialect
dump.py diff.py                     what is in force, and what a reload would change
reload.py status.py relay_socket.py asked of a running relay
relay_user.py                       how root sees what the service sees
enable.py disable.py edit.py        drop-ins written for the operator, and their parts:
provider_file.py changes.py applying.py     where the file is, how it is written, and what follows
import_.py older.py older_fields.py older_outcome.py older_problems.py     the earlier system's one file, taken over
"""
