#!/bin/sh
# Formatting, lint and types. A tool that this machine cannot have is skipped with a notice; LINT=required makes that a failure.
set -eu
cd "$(dirname "$0")/.."
python=$(sh packaging/python.sh test -c 'import sys; print(sys.executable)')

lint() { # lint MODULE ARGS...
    module=$1
    shift
    if ! "$python" -c "import $module" 2>/dev/null; then
        echo "make lint: $module is not installed in $python, skipped" >&2
        [ "${LINT:-}" != required ] || exit 1
        return 0
    fi
    "$python" -m "$module" "$@"
}

lint ruff format --check .
lint ruff check .
lint mypy --strict
