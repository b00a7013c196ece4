#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ./dev fresh: the README's two commands on a bare Debian 12 made for it. What they install is installed with the
# network; then they run without: in network, mount, PID and UTS namespaces of their own.
#
#   fresh.sh [demo|test|all] [--keep]      --keep leaves the root file system where it says
#
# The host's package-manager settings are copied in at run time; nothing of them is in the tree.
set -euo pipefail
cd "$(dirname "$0")/../.."
DEMO_LIMIT_S=360 BUILD_LIMIT_S=180 TEST_LIMIT_S=900
SETTINGS='^(https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY|(PIP|GO|NPM_CONFIG|npm_config|SSL_CERT)[A-Z_a-z]*|CURL_CA_BUNDLE|REQUESTS_CA_BUNDLE|NODE_EXTRA_CA_CERTS)='
TREE=/root/throughline
what=all keep=''

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

for word in "$@"; do
    case $word in
    demo | test | all) what=$word ;;
    --keep) keep=yes ;;
    *) echo 'usage: ./dev fresh [demo|test|all] [--keep]' >&2; exit 2 ;;
    esac
done
[ "$(id -u)" = 0 ] || { say "fresh: only root may make a root file system and namespaces"; exit 1; }

folder=$(mktemp -d "${TMPDIR:-/tmp}/throughline-fresh-XXXXXX")
chmod 755 "$folder"
root=$folder/root
cgroup=throughline-fresh-$$
timings=()

# Mounts are made in namespaces that have ended by now, so that this removes plain files only.
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    if [ -n "$keep" ]; then
        say "kept: $root"
    else
        rm -rf --one-file-system "$folder"
    fi
    # The hierarchy of cgroups is the host's.
    while read -r _ _ _ _ mount _; do
        find "$mount/$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done < <(grep ' - cgroup2 ' /proc/self/mountinfo)
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# step NAME COMMAND...: runs it and notes the seconds; a failure ends all.
step() {
    local name=$1 started=$SECONDS status=0

    shift
    say "fresh: $name"
    "$@" || status=$?
    timings+=("$name: $((SECONDS - started)) s")
    [ $status = 0 ] || { say "fresh: $name failed ($status)"; report; exit 1; }
    last_s=$((SECONDS - started))
}

report() { printf '%s\n' "${timings[@]}"; }

# The host's own Debian sources, one line each; what is not Debian's main is left out.
debian_sources() {
    /usr/bin/python3 - <<'TXT'
import glob, re
for path in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*")]:
    try:
        text = open(path, encoding="utf-8").read()
    except OSError:
        continue
    text = re.sub(r"(?m)^#.*\n?", "", text)
    entries = []
    if path.endswith(".sources"):
        for stanza in re.split(r"\n\s*\n", text):
            fields = {name.lower(): value.split() for name, value in re.findall(r"(?m)^([\w-]+):((?:.*)(?:\n[ \t].*)*)", stanza)}
            if "deb" in fields.get("types", []):
                entries += [(uri, suite, fields.get("components", [])) for uri in fields.get("uris", [])
                            for suite in fields.get("suites", [])]
    else:
        for uri, suite, components in re.findall(r"(?m)^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)$", text):
            entries.append((uri, suite, components.split()))
    for uri, suite, components in entries:
        if re.fullmatch(r"bookworm(-updates|-security|/updates)?", suite) and "main" in components:
            print("deb", uri, suite, "main")
TXT
}

make_root() {
    debian_sources >"$folder/sources.list"
    [ -s "$folder/sources.list" ] || { say "no Debian 12 among this host's package sources"; return 1; }
    apt-config dump | grep '^Acquire::' >"$folder/acquire.conf" || true
    mmdebstrap --quiet --variant=minbase --include=git,ca-certificates --aptopt="$folder/acquire.conf" \
        bookworm "$root" - <"$folder/sources.list"
}

copy_settings() {
    local path

    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
    cp "$folder/sources.list" "$root/etc/apt/sources.list"
    cp "$folder/acquire.conf" "$root/etc/apt/apt.conf.d/90host"
    for path in /etc/apt/auth.conf /etc/apt/auth.conf.d /etc/apt/trusted.gpg.d /etc/apt/keyrings /etc/pip.conf /etc/npmrc \
        /root/.npmrc /root/.config/pip /root/.config/go/env /usr/local/share/ca-certificates /etc/ssl/certs; do
        [ -e "$path" ] || continue
        mkdir -p "$root$(dirname "$path")"
        # A certificate folder may hold links that lead nowhere.
        cp -a -L "$path" "$root$(dirname "$path")/" 2>/dev/null || true
    done
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    { printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 fresh\n' && grep -v '^127\.\|^::1' /etc/hosts; } >"$root/etc/hosts" || true
    echo fresh >"$root/etc/hostname"
    (umask 077 && { env | grep -E "$SETTINGS" || true; } >"$root/root/settings")
}

# As a clone would be, with what is not committed yet.
copy_tree() {
    mkdir -p "$root$TREE"
    git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' path; do
        [ ! -e "$path" ] || printf '%s\0' "$path"
    done | tar -c --null -T - | tar -x --no-same-owner -C "$root$TREE" || return 1
    inside "" "git init -q . && git add -A && git -c user.name=fresh -c user.email=fresh@localhost commit -q -m fresh"
}

# inside NAMESPACES COMMAND: runs the command in the tree, as the first process of namespaces of its own: when it ends,
# whatever it left running and every mount go with it.
inside() {
    # shellcheck disable=SC2086,SC2016 # words; the inner shell expands
    unshare --mount --uts --pid --fork --kill-child --propagation private $1 /bin/bash -c '
        set -euo pipefail
        root=$1 tree=$2 command=$3
        hostname fresh
        [ -z "$4" ] || ip link set lo up
        mount --rbind /sys "$root/sys"
        mount --rbind /dev "$root/dev"
        mount -t proc proc "$root/proc"
        mount -t tmpfs -o mode=755 tmpfs "$root/run"
        mkdir -p "$root/run/lock"
        mapfile -t settings <"$root/root/settings"
        exec chroot "$root" /usr/bin/env -i HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8 \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${settings[@]}" \
            /bin/bash -c "cd $tree && $command"' inside "$root" "$TREE" "$2" "$1"
}

with_network() { inside "" "$1"; }
alone() { inside --net "$1"; }

within() {
    [ "$2" -le "$3" ] || { say "fresh: $1 took $2 s, $3 s are allowed"; over=yes; }
}

over='' demo_s=0 last_s=0
step "root file system" make_root
copy_settings
step "copy of the tree" copy_tree
if [ "$what" != test ]; then
    step "install for the demo" with_network "./dev deps demo"
    demo_s=$last_s
    step "build" alone "./dev build"
    within build "$last_s" $BUILD_LIMIT_S
    demo_s=$((demo_s + last_s))
    step "demo --once" alone "THROUGHLINE_CGROUP=$cgroup ./dev demo --once"
    demo_s=$((demo_s + last_s))
    timings+=("the demo in all: $demo_s s")
    within "the demo in all" $demo_s $DEMO_LIMIT_S
fi
if [ "$what" != demo ]; then
    step "install for the tests" with_network "./dev deps"
    step "test" alone "./dev test"
    within test "$last_s" $TEST_LIMIT_S
fi
report
[ -z "$over" ]
