# packages.sh - installs Debian packages that are missing. Sourced by configs/run and tests/run.
# shellcheck shell=sh

build_packages="gcc libc6-dev meson ninja-build pkg-config liburing-dev libmimalloc-dev libck-dev liblzf-dev liblua5.1-0-dev"

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

# A package that brings a server must not start it: while we install, invoke-rc.d is told no,
# unless the machine has a policy of its own.
policy=/usr/sbin/policy-rc.d
policy_ours=no
policy_begin() {
    if [ ! -e "$policy" ]; then
        policy_ours=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
}
policy_end() {
    if [ "$policy_ours" = yes ]; then
        as_root rm -f "$policy"
        policy_ours=no
    fi
}

install_missing() {
    missing=
    for package in "$@"; do
        if ! dpkg -s "$package" 2>/dev/null | grep -q '^Status: install ok installed'; then
            missing="$missing $package"
        fi
    done
    if [ -z "$missing" ]; then
        return 0
    fi
    echo "installing:$missing"
    trap policy_end EXIT
    policy_begin
    as_root apt-get update -qq
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        $missing >/dev/null
    policy_end
    trap - EXIT
}
