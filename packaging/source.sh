# Read by build-deb.sh and build-rpm.sh, at the top of the tree: the sources as one directory and as one archive.
# After make_source DIRECTORY: $version, $tree (DIRECTORY/monorelay-VERSION), $archive (the same as .tar.gz).
# $SOURCE_DATE_EPOCH is the time that every file of the archive is given.

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' monorelay/__init__.py)

make_source() {
    tree=$1/monorelay-$version
    archive=$tree.tar.gz
    mkdir "$tree"
    if [ -n "${WORKTREE:-}" ] || ! git rev-parse --git-dir >/dev/null 2>&1; then
        tar -c --exclude-vcs --exclude=./.venv --exclude=./dist --exclude=./build --exclude='*.egg-info' --exclude=__pycache__ \
            --exclude='./.*_cache' --exclude=./.hypothesis . | tar -x -C "$tree"
    else
        git archive HEAD | tar -x -C "$tree"
    fi
    chmod -R u=rwX,go=rX "$tree"
    tar -c --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -C "$1" "monorelay-$version" |
        gzip -9n >"$archive"
}
