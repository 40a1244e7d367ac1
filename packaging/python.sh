#!/bin/sh
# Find a Python that has what MonoRelay needs, or make one, and run it with the arguments given:
#
#   packaging/python.sh run  -m monorelay demo     what the relay needs
#   packaging/python.sh test -m pytest -q          that, the test suite's needs and the developers' tools
#
# In this order: the .venv here; a Python of the machine that has everything (distribution packages); a .venv filled from PyPI
# by pip as it is configured; for "test", a Python that can run the suite without the tools. Otherwise it prints what to
# install and exits with 2. Only requirements are installed, never MonoRelay itself: it runs from this tree.
set -eu

need=$1
shift
cd "$(dirname "$0")/.."
case $need in
    run) lists="REQUIRES" ;;
    test) lists="REQUIRES SUITE TOOLS" ;;
    *) echo "packaging/python.sh: the first argument is run or test, not '$need'" >&2; exit 2 ;;
esac
mark=.venv/made-by-monorelay
log=.venv/install.log

candidates() { # every Python worth asking, the usual one first
    for name in "${PYTHON:-}" python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
        [ -z "$name" ] || command -v "$name" 2>/dev/null || true
    done
}

has() { # has PYTHON LIST...: silently, does it have everything
    python=$1
    shift
    "$python" packaging/missing.py "$@" >/dev/null 2>&1
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

fill() { # fill LIST...: install those lists into .venv
    .venv/bin/python packaging/missing.py --list "$@" >.venv/wanted.txt
    .venv/bin/python -m pip install -q --disable-pip-version-check -r .venv/wanted.txt >>"$log" 2>&1 </dev/null
}

make_venv() {
    if [ -e .venv ] && ! new_enough .venv/bin/python; then
        if [ ! -e "$mark" ]; then
            echo "There is a .venv here that does not run, or is older than Python 3.11. Remove it, then try again." >&2
            exit 2
        fi
        rm -rf .venv
    fi
    if [ ! -e .venv ]; then
        for base in $(candidates); do
            new_enough "$base" || continue
            echo "Making .venv with $base: this happens once." >&2
            if "$base" -m venv .venv >/dev/null 2>&1; then
                : >"$mark"
                break
            fi
            rm -rf .venv
        done
    fi
    [ -e .venv ] || return 1
    echo "Installing into .venv: $lists of setup.py" >&2
    fill REQUIRES || return 1
    [ "$need" = test ] || return 0
    fill SUITE || return 1 # a list at a time: a tool that cannot be had must not take the rest with it
    fill TOOLS || echo "Some of TOOLS could not be installed ($log says why): what needs them is skipped." >&2
}

if [ -x .venv/bin/python ] && has .venv/bin/python $lists; then
    exec .venv/bin/python "$@"
fi
for python in $(candidates); do
    has "$python" $lists && exec "$python" "$@"
done
if ! make_venv; then
    [ ! -s "$log" ] || tail -n 3 "$log" >&2
    [ ! -e "$mark" ] || rm -rf .venv # half a .venv is of no use to anybody
fi
if [ "$need" = test ]; then lists="REQUIRES SUITE"; fi
for python in .venv/bin/python $(candidates); do
    has "$python" $lists && exec "$python" "$@"
done

cat >&2 <<'END'
No Python here has what MonoRelay needs, and pip could not provide it. One of these lines will do:
    apt-get install python3-tornado python3-pycurl python3-jinja2 python3-yaml python3-cerberus python3-psutil python3-pytest python3-pytest-tornado python3-setuptools
    apt-get install python3-venv          (then PyPI provides the rest)
    dnf install python3-tornado python3-pycurl python3-jinja2 python3-pyyaml python3-cerberus python3-psutil python3-pytest python3-setuptools
END
exit 2
