#!/bin/sh
# Build the .rpm into dist/: `packaging/build-rpm.sh [DIRECTORY]`. The same tree gives the same bytes. Debian's rpm will do.
#
#   WORKTREE=1   what lies here, instead of what is committed
#   REVISION=2   the release, instead of 1
set -eu
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

SOURCE_DATE_EPOCH=$(date -u -d "$(sed -n '/^%changelog/{n;s/^\* \(.* [0-9]\{4\}\) .*/\1/p}' packaging/rpm/monorelay.spec) 12:00" +%s)
export SOURCE_DATE_EPOCH
export PYTHONDONTWRITEBYTECODE=1
make_source "$build"
# Debian has no RPM database of its own packages to ask for BuildRequires.
nodeps=
[ -e /etc/debian_version ] && nodeps=--nodeps
rpmbuild -bb $nodeps \
    --define "_topdir $build/rpm" --define "_sourcedir $build" --define "ver $version" --define "rel ${REVISION:-1}" \
    --define "_prefix /usr" --define "_sysconfdir /etc" --define "_binary_payload w9.gzdio" --define "_buildhost reproducible" \
    --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" \
    "$tree/packaging/rpm/monorelay.spec"
cp "$build"/rpm/RPMS/noarch/monorelay-*.rpm "$target/"
ls "$target"/monorelay-"$version"-*.rpm
