#!/bin/bash
# Both packages, where they will live: `packaging/test-packages.sh [SUITE...]` (bookworm and trixie).
#
# For each suite a fresh Debian is made and booted with its own systemd, without a network. The .deb is installed, used, reloaded a
# hundred times and upgraded four times under load, broken, removed and purged; then the .rpm goes through the shorter course.
# Nothing outside a temporary directory is touched. Where this may not run it says why, and is no failure.
#
#   MIRROR=http://deb.debian.org/debian     RELOADS=100     WORKTREE=1 (as for build-deb.sh)
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "make test-packages: skipped, $1"; exit 0; }
[ "$(id -u)" = 0 ] || skip "only root can make and boot a system"
for tool in mmdebstrap systemd-nspawn nsenter dpkg-buildpackage rpmbuild unshare; do
    command -v $tool >/dev/null || skip "$tool is missing: apt-get install mmdebstrap systemd-container rpm devscripts debhelper dh-python"
done
unshare --mount --pid --net --fork true 2>/dev/null || skip "this machine does not allow namespaces"
[ -w /sys/fs/cgroup ] || skip "cgroups cannot be written here, and a booted system needs them"

mirror=${MIRROR:-http://deb.debian.org/debian}
reloads=${RELOADS:-100}
work=$(mktemp -d /var/tmp/monorelay-packages.XXXXXX)
started=()
leader=
finish() {
    local status=$?
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    power_off
    if [ $status -ne 0 ]; then echo "FAILED; the logs are in $work"; else rm -rf --one-file-system "$work"; fi
}
trap finish EXIT

step() { printf '%s  %-8s %s\n' "$(date +%T)" "$suite" "$*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
expect() { [ "$1" = "$2" ] || fail "$3: expected '$2', got '$1'"; }

# ---- a booted system. The leader is its process 1; `inside` runs a command in it, `beside` one of ours on its network.

boot() {
    local nspawn tries
    systemd-nspawn -q -D "$root" -b --register=no --keep-unit --private-network --timezone=off --console=pipe >"$work/boot-$suite.log" 2>&1 </dev/null &
    nspawn=$!
    for ((tries = 0; tries < 100; tries++)); do
        leader=$(pgrep -P $nspawn | head -n 1) && [ -n "$leader" ] && inside systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded' && return
        kill -0 $nspawn 2>/dev/null || break
        sleep 0.3
    done
    tail -n 20 "$work/boot-$suite.log"
    leader=
    skip "a system cannot be booted here"
}
power_off() {
    [ -n "$leader" ] || return 0
    inside systemctl poweroff 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$leader" 2>/dev/null || break; sleep 0.2; done
    kill -9 "$leader" 2>/dev/null || true
    leader=
    wait 2>/dev/null || true
}
inside() { nsenter -t "$leader" -m -u -i -n -p -C -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
beside() { nsenter -t "$leader" -n -- "$@"; }

# ---- the relay in it

url=http://127.0.0.1:8787
key() { cat "$root/var/lib/monorelay/access_key"; }
get() { beside curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $(key)" "$url$1"; }
chat() { beside curl -s -m 20 -H "Authorization: Bearer $(key)" -H 'Content-Type: application/json' -d '{"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}' $url/v1/chat/completions; }
put() { mkdir -p "$(dirname "$root$1")"; cat >"$root$1"; }
active() { inside systemctl is-active "$1" 2>/dev/null || true; }
show() { inside systemctl show -P "$1" monorelay.service; }
dpkg_install() { inside dpkg --force-confold --force-downgrade -i "/$1" >>"$work/dpkg-$suite.log" 2>&1 || { tail "$work/dpkg-$suite.log"; fail "dpkg -i $1"; }; }

load_on() {
    nsenter -t "$leader" -n -- "$python" packaging/load.py $url "$(key)" >"$work/load.json" &
    load=$!
    started+=("$load")
    sleep 2
}
load_off() { # load_off WHAT: the figures; any failure fails
    sleep 1
    kill "$load"
    wait "$load" || fail "the load ended by itself"
    step "$1: $(cat "$work/load.json")"
    grep -q '"failed": 0,' "$work/load.json" || fail "requests failed: $1"
}
upstream_on() { # the demo upstream, on the system's network but not of it
    nsenter -t "$leader" -n -- "$python" -m monorelay.demo --port 18999 --word 0.05 >"$work/upstream.log" 2>&1 &
    started+=($!)
    put /etc/monorelay/providers.d/10-upstream.yml <<'END'
provider: upstream
extends: openai-compatible
base_url: http://127.0.0.1:18999/v1
keys: ["${file:secrets/upstream}"]
END
    inside install -m 0640 -g monorelay /dev/stdin /etc/monorelay/secrets/upstream <<'END'
demo
END
    inside monorelay check >/dev/null 2>"$work/check" || { cat "$work/check"; fail "the check of a new provider"; }
    expect "$(cat "$work/check")" "" "the warnings of a check"
}

# Everything that a package could leave behind, with owner and mode. (Caches and logs of other programs come and go.)
listing() {
    inside find /etc /usr /var /opt /root -xdev ! -path '/var/log/*' ! -path '/var/cache/*' ! -path '/var/lib/dpkg/*' ! -path '/var/lib/apt/*' \
        ! -path '/etc/passwd*' ! -path '/etc/group*' ! -path '/etc/shadow*' ! -path '/etc/gshadow*' ! -path '/etc/.pwd.lock' ! -path '*/__pycache__*' \
        ! -path '/var/lib/systemd/*' ! -path '/var/tmp/*' -printf '%M %u:%g %p\n' | sort
}

reload_many() {
    local number refused=0
    load_on
    for ((number = 1; number <= reloads; number++)); do
        printf 'model_routing: {aliases: {number-%d: demo}}\n' "$number" | put /etc/monorelay/config.d/20-number.yml
        if ((number % 10 == 0)); then
            echo 'route: [' | put /etc/monorelay/routes.d/50-bad.yml
            if inside systemctl reload monorelay.service 2>>"$work/reload.log"; then fail "a bad file was reloaded without complaint"; fi
            refused=$((refused + 1))
            rm "$root/etc/monorelay/routes.d/50-bad.yml"
        else
            inside systemctl reload monorelay.service || fail "reload $number"
        fi
    done
    expect "$(active monorelay.service)" active "after $reloads reloads"
    rm "$root/etc/monorelay/config.d/20-number.yml"
    load_off "$reloads reloads under load, $refused of them refused"
}

# ---- the courses

course_of_the_deb() {
    local secret exposure package machine most
    listing >"$work/before"
    step "apt install: starts, with a key of its own"
    inside apt-get install -y --no-install-recommends /first.deb >"$work/install.log" 2>&1 || { tail "$work/install.log"; fail "apt install"; }
    expect "$(active monorelay.service)" active "after the installation"
    expect "$(inside stat -c '%a %U %G' /var/lib/monorelay/access_key)" "600 monorelay monorelay" "the access key"
    expect "$(inside stat -c '%a %U %G' /etc/monorelay/secrets)" "750 root monorelay" "the secrets"
    grep -q /var/lib/monorelay/access_key "$work/install.log" || fail "the place of the key was not told"
    if grep -qF "$(key)" "$work/install.log"; then fail "the key was printed"; fi
    expect "$(active monorelay.socket)" inactive "the socket unit"
    inside monorelay check >/dev/null
    expect "$(get /health)" 200 "the health"
    exposure=$(inside systemd-analyze security --no-pager monorelay.service | sed -n 's/.*exposure level for monorelay.service: \([0-9.]*\).*/\1/p')
    step "systemd-analyze security: $exposure"
    inside systemd-analyze security --no-pager --threshold=12 monorelay.service >/dev/null || fail "the service is more exposed than 1.2"
    inside systemd-analyze verify --man=no /lib/systemd/system/monorelay.service /lib/systemd/system/monorelay.socket /lib/systemd/system/monorelay-watch.path 2>&1 |
        grep -i monorelay && fail "systemd-analyze verify"

    step "a provider, a reload, a chat"
    most=$(ulimit -Hn) # a booted system gets no more than this one has
    if [ "$most" = unlimited ] || [ "$most" -gt 65536 ]; then most=65536; fi
    upstream_on
    inside systemctl reload monorelay.service
    for _ in $(seq 50); do chat | grep -q '"content"' && break || sleep 0.2; done
    chat | grep -q '"content"' || fail "no answer: $(chat)"
    machine=$(beside curl -s -H "Authorization: Bearer $(key)" $url/api/info && sleep 1 && beside curl -s -H "Authorization: Bearer $(key)" $url/api/info)
    case $machine in *'"memory_total": 0'*'"memory_total": 0'*) fail "/api/info knows nothing of the machine: $machine" ;; esac
    expect "$(inside sed -n 's/^Max open files *\([0-9]*\).*/\1/p' /proc/"$(show MainPID)"/limits)" "$most" "the limit of open files"

    step "a bad file: the reload fails and says where, the relay goes on"
    echo 'rout: x' | put /etc/monorelay/routes.d/50-bad.yml
    if inside systemctl reload monorelay.service 2>/dev/null; then fail "a bad file was reloaded without complaint"; fi
    inside journalctl -u monorelay.service --no-pager | grep -q '50-bad.yml:1:1: ' || fail "the journal does not say where"
    inside systemctl status --no-pager monorelay.service | grep -q 'LAST RELOAD REFUSED' || fail "the status does not say so"
    chat | grep -q '"content"' || fail "no answer after a refused reload"
    rm "$root/etc/monorelay/routes.d/50-bad.yml"
    reload_many

    step "root's check has the rights and the credentials of the service"
    inside install -m 0600 /dev/stdin /etc/monorelay/secrets/closed <<<k
    printf 'provider: closed\nextends: openai-compatible\nbase_url: http://127.0.0.1:18999/v1\nkeys: ["${file:secrets/closed}"]\n' | put /etc/monorelay/providers.d/50-closed.yml
    if inside monorelay check 2>"$work/check"; then fail "a check promised a key that the service may not read"; fi
    grep -q 'for the user monorelay' "$work/check" || fail "whose rights are missing was not told: $(cat "$work/check")"
    printf '[Service]\nLoadCredential=closed:/etc/monorelay/secrets/closed\n' | put /etc/systemd/system/monorelay.service.d/credential.conf
    sed -i 's/{file:secrets.closed}/{cred:closed}/' "$root/etc/monorelay/providers.d/50-closed.yml"
    inside systemctl daemon-reload
    inside systemctl restart monorelay.service
    inside monorelay check >/dev/null 2>"$work/check" || fail "the service's credential was not seen: $(cat "$work/check")"
    rm -r "$root/etc/monorelay/secrets/closed" "$root/etc/monorelay/providers.d/50-closed.yml" "$root/etc/systemd/system/monorelay.service.d"
    inside systemctl daemon-reload
    inside systemctl restart monorelay.service

    step "the watching unit: an edit is in force by itself"
    inside systemctl start monorelay-watch.path
    echo '{route: extra, path: /extra, methods: [GET], access: public, reply: {status: 200, error: {type: t, message: m}}}' | put /etc/monorelay/routes.d/50-extra.yml
    for _ in $(seq 50); do [ "$(get /extra)" != 200 ] || break; sleep 0.2; done
    expect "$(get /extra)" 200 "the route that the watching unit should have seen"
    inside systemctl stop monorelay-watch.path

    step "four upgrades with the socket unit on, under load, with an edited config.yml"
    secret=$(key)
    echo '# edited' >>"$root/etc/monorelay/config.yml"
    inside systemctl stop monorelay.service
    inside systemctl enable -q --now monorelay.socket
    inside systemctl start monorelay.service
    load_on
    for package in second.deb first.deb second.deb second.deb; do
        dpkg_install $package
        sleep 1
    done
    load_off "four upgrades under load"
    expect "$(inside dpkg-query -f '${Version}' -W monorelay)" "$(dpkg-deb -f "$root/second.deb" Version)" "the version after the upgrades"
    expect "$(tail -n 1 "$root/etc/monorelay/config.yml")" "# edited" "the edited config.yml"
    expect "$(key)" "$secret" "the key after the upgrades"
    expect "$(get /extra)" 200 "the operator's route after the upgrades"
    [ ! -e "$root/etc/monorelay/config.yml.dpkg-new" ] || fail "config.yml.dpkg-new was left"

    step "a restart finishes the streams; a killed master is started again; a bad start ends with 78, once"
    load_on
    inside systemctl restart monorelay.service
    load_off "a restart with the socket unit on"
    inside kill -9 "$(show MainPID)"
    for _ in $(seq 50); do [ "$(get /health)" != 200 ] || break; sleep 0.2; done
    expect "$(get /health)" 200 "after the master was killed"
    inside systemctl disable -q --now monorelay.socket
    inside systemctl stop monorelay.service
    inside systemctl reset-failed monorelay.service
    echo 'rout: x' | put /etc/monorelay/routes.d/50-bad.yml
    if inside systemctl start monorelay.service 2>/dev/null; then fail "it started with a bad file"; fi
    sleep 2
    expect "$(show ExecMainStatus) $(show NRestarts)" "78 0" "exit status and restarts after a bad start"
    rm "$root/etc/monorelay/routes.d/50-bad.yml"
    inside systemctl reset-failed monorelay.service
    inside systemctl start monorelay.service

    step "the package's own tests (autopkgtest)"
    if inside sh -c 'command -v autopkgtest' >/dev/null; then
        # The null runner does not know that it is in a container of its own already.
        inside autopkgtest -q --ignore-restrictions=isolation-container --output-dir=/var/tmp/autopkgtest /second.deb /source/ -- null >"$work/autopkgtest-$suite.log" 2>&1 || { tail -n 40 "$work/autopkgtest-$suite.log"; fail autopkgtest; }
        grep -E '(PASS|SKIP|FAIL)' "$root/var/tmp/autopkgtest/summary" | sed 's/^/                     /'
        if grep -q SKIP "$root/var/tmp/autopkgtest/summary"; then fail "autopkgtest skipped something"; fi
        rm -rf "$root/var/tmp/autopkgtest"
    fi

    step "remove: it stops, and what belongs to the operator stays; reinstall: it is back"
    inside systemctl start monorelay.socket 2>/dev/null || true
    inside apt-get remove -y monorelay >>"$work/dpkg-$suite.log" 2>&1
    expect "$(get /health)" 000 "after the removal"
    expect "$(active monorelay.socket)" inactive "the socket unit after the removal"
    expect "$(key)" "$secret" "the key after the removal"
    dpkg_install second.deb
    expect "$(active monorelay.service)" active "after the reinstallation"
    expect "$(key)" "$secret" "the key after the reinstallation"
    expect "$(get /extra)" 200 "the operator's route after the reinstallation"
    step "a link that the relay's user has left leads no installation astray"
    inside rm /var/lib/monorelay/access_key
    inside setpriv --reuid monorelay --regid monorelay --clear-groups ln -s /etc/astray /var/lib/monorelay/access_key.new
    inside touch /etc/astray
    dpkg_install second.deb
    expect "$(inside stat -c '%s %U' /etc/astray) $(inside stat -c '%a %U %F' /var/lib/monorelay/access_key)" "0 root 600 monorelay regular file" "the new access key"
    inside rm /etc/astray
    step "purge: nothing is left"
    inside dpkg --purge monorelay >>"$work/dpkg-$suite.log" 2>&1
    expect "$(cd "$root/etc/monorelay" && find . -type f | sort | tr '\n' ' ')" "./providers.d/10-upstream.yml ./routes.d/50-extra.yml ./secrets/upstream " "what purge left"
    rm -r "$root/etc/monorelay"
    listing >"$work/after"
    diff "$work/before" "$work/after" || fail "purge left something behind, or took something"
    stop_started
}

course_of_the_rpm() {
    local secret
    step "the rpm in the same root: installs, serves, reloads, upgrades, goes"
    inside userdel monorelay 2>/dev/null || true
    rpm_in() { rpm --root "$root" --dbpath /var/lib/rpm-test --nodeps "$@" >>"$work/rpm-$suite.log" 2>&1 || { tail "$work/rpm-$suite.log"; fail "rpm $*"; }; }
    rpm_in -i "$work/out/first.rpm"
    expect "$(inside stat -c '%a %U %G' /var/lib/monorelay/access_key)" "600 monorelay monorelay" "the access key"
    inside monorelay check >/dev/null
    inside systemctl daemon-reload
    inside systemctl start monorelay.service
    upstream_on
    inside systemctl reload monorelay.service
    for _ in $(seq 50); do chat | grep -q '"content"' && break || sleep 0.2; done
    chat | grep -q '"content"' || fail "no answer: $(chat)"
    echo 'rout: x' | put /etc/monorelay/routes.d/50-bad.yml
    if inside systemctl reload monorelay.service 2>/dev/null; then fail "a bad file was reloaded without complaint"; fi
    rm "$root/etc/monorelay/routes.d/50-bad.yml"
    secret=$(key)
    echo '# edited' >>"$root/etc/monorelay/config.yml"
    rpm_in -U "$work/out/second.rpm"
    inside systemctl restart monorelay.service
    expect "$(tail -n 1 "$root/etc/monorelay/config.yml")" "# edited" "the edited config.yml"
    expect "$(key)" "$secret" "the key after the upgrade"
    expect "$(get /health)" 200 "after the upgrade"
    inside systemctl stop monorelay.service
    rpm_in -e monorelay
    [ ! -e "$root/usr/share/monorelay" ] || fail "/usr/share/monorelay was left: $(find "$root/usr/share/monorelay" | head)"
    stop_started
}

stop_started() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    started=()
}

# ---- build, once for all

python=$(sh packaging/python.sh run -c 'import sys; print(sys.executable)')
export PYTHONPATH=$PWD
export DEB_BUILD_OPTIONS=nocheck # the packages are looked at here, not the sources
mkdir "$work/out"
build() { # build REVISION NAME
    mkdir -p "$work/$2"
    REVISION=$1 packaging/build-deb.sh "$work/$2" >"$work/build-$2.log" 2>&1 || { tail -n 30 "$work/build-$2.log"; fail "build-deb.sh"; }
    REVISION=$1 packaging/build-rpm.sh "$work/$2" >>"$work/build-$2.log" 2>&1 || { tail -n 30 "$work/build-$2.log"; fail "build-rpm.sh"; }
    cp "$work/$2"/*.deb "$work/out/$2.deb"
    cp "$work/$2"/*.rpm "$work/out/$2.rpm"
}
suite=build
step "two builds of the same are the same, byte for byte"
build 1 first
build 1 again
cmp "$work/out/first.deb" "$work/out/again.deb"
cmp "$work/out/first.rpm" "$work/out/again.rpm"
build 2 second
dependencies=$(dpkg-deb -f "$work/out/first.deb" Depends | sed 's/([^)]*)//g; s/:any//g; s/ //g')

[ $# -gt 0 ] || set -- bookworm trixie
for suite in "$@"; do
    root=$work/$suite
    step "a fresh system"
    mmdebstrap -q --variant=apt --include="systemd,systemd-sysv,dbus,curl,procps,autopkgtest,dpkg-dev,$dependencies" "$suite" "$root" "$mirror" 2>"$work/mmdebstrap-$suite.log" ||
        { tail "$work/mmdebstrap-$suite.log"; skip "$mirror cannot be reached"; }
    cp "$work"/out/*.deb "$root/"
    mkdir "$root/source"
    tar -xzf "$work"/second/*.orig.tar.gz -C "$root/source" --strip-components=1
    tar -xf "$work"/second/*.debian.tar.* -C "$root/source"
    boot
    course_of_the_deb
    course_of_the_rpm
    power_off
    rm -rf --one-file-system "$root"
done

suite=piuparts
if command -v piuparts >/dev/null; then
    mmdebstrap -q --variant=minbase bookworm "$work/piuparts.tar.gz" "$mirror" 2>/dev/null
    piuparts -b "$work/piuparts.tar.gz" -d bookworm -m "$mirror" "$work/out/first.deb" >"$work/piuparts.log" 2>&1 ||
        { tail -n 30 "$work/piuparts.log"; fail piuparts; }
    step "$(grep -o 'PASS: All tests' "$work/piuparts.log")"
else
    step "is not installed, skipped"
fi
suite=end
step "all of it passed"
