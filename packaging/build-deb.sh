#!/bin/sh
# Build the .deb into dist/: `packaging/build-deb.sh [DIRECTORY]`. The same tree gives the same bytes.
#
#   WORKTREE=1   what lies here, instead of what is committed
#   REVISION=2   the Debian revision, instead of the changelog's
set -eu
# Debian's own Python, whatever pyenv or a .venv has put in front of it.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV PYENV_VERSION || true
umask 022

here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "${1:-$here/dist}"
target=$(cd "${1:-$here/dist}" && pwd)
cd "$here"
. packaging/source.sh
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -l packaging/debian/changelog -S Timestamp)
export SOURCE_DATE_EPOCH
make_source "$build"
cp -a "$tree/packaging/debian" "$tree/debian"
if [ -n "${REVISION:-}" ]; then
    sed -i "1s/(\(.*\)-[^-]*)/(\1-$REVISION)/" "$tree/debian/changelog"
fi
cp "$archive" "$build/monorelay_$version.orig.tar.gz"
(cd "$tree" && dpkg-buildpackage -us -uc "${BUILD:---build=full}")
cp "$build"/monorelay_*.deb "$build"/monorelay_*.dsc "$build"/monorelay_*.tar.* "$build"/monorelay_*.changes "$build"/monorelay_*.buildinfo "$target/"
ls "$target"/monorelay_"$version"-*.deb
