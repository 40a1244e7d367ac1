"""The process: a master that forks, children that read the configuration, and workers that serve.

    start.py        puts a master and its workers together: what `monorelay run` calls
    master.py       one loop: signals, workers' messages, the control socket, deadlines; the start and the stop
    reload.py       the configuration in force, and how the next one takes its place
    reading.py      the child in which every file is read for the master, and what it reports
    prepare.py      read, compile, judge: the part of a reload that can refuse. `monorelay check` stops after it
    crew.py         the workers as the master sees them: forked, heard, replaced when they die
    worker.py       the other side of the fork: the only file here that loads Tornado
    assignment.py   what master and worker are given
    channel.py      what the two sides say to each other
    noticeboard.py  what workers told each other, for those that are born later
    control.py      the control socket: lines in, lines out
    desk.py         what can be asked there
    listen.py statedir.py signals.py notify.py logs.py descriptors.py     a socket, a directory, signals, systemd, stderr, limits

The master loads no Tornado, no curl and no YAML and starts no thread: it is small, and it forks again whenever a worker has to be
replaced.
"""
