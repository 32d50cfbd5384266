#!/usr/bin/env bash
# Installs, upgrades and removes the Debian package on this machine and
# checks that the data stays. It refuses to touch a machine with a box.
set -euo pipefail
cd "$(dirname "$0")/../.."
data=/var/lib/fengqiao
if [ -e "$data" ] && [ -n "$(ls -A "$data" 2>/dev/null)" ]; then
	echo "deb: $data is not empty; this machine runs a box" >&2
	exit 1
fi
if ! command -v dpkg-deb >/dev/null || [ "$(id -u)" != 0 ]; then
	echo "deb: needs dpkg and root" >&2
	exit 1
fi
command -v adduser >/dev/null || { apt-get update -qq && apt-get install -y -qq adduser >/dev/null; }
fail() {
	echo "deb: $1" >&2
	exit 1
}
served=
clean() {
	[ -z "$served" ] || kill "$served" 2>/dev/null || true
	dpkg --purge fengqiao >/dev/null 2>&1 || true
	rm -rf "$data"
	deluser --quiet fengqiao >/dev/null 2>&1 || true
}
trap clean EXIT

export DEB_COMPRESS=none
old="$(packaging/deb/build.sh 0.1.0)"
new="$(packaging/deb/build.sh 0.2.0)"
dpkg -i "$old" >/dev/null
fengqiao --version | grep -q fengqiao || fail "the installed program does not run"
su -s /bin/sh fengqiao -c "fengqiao init --data $data" >/dev/null
# Root at the terminal: through the door of the running box, and never into
# the directory of a stopped one.
su -s /bin/sh fengqiao -c "exec fengqiao serve --data $data --listen 127.0.0.1:0 --tls" >"$data.out" 2>&1 &
served=$!
for _ in $(seq 100); do grep -q 'setup code' "$data.out" && break; sleep 0.2; done
grep -q 'https://' "$data.out" || fail "the box does not serve HTTPS: $(cat "$data.out")"
fengqiao setup-code --data "$data" >/dev/null || fail "root does not come through the door"
su -s /bin/sh nobody -c "fengqiao setup-code --data $data" >/dev/null 2>&1 && fail "anybody comes through the door"
pkill -TERM -P "$served" -x fengqiao 2>/dev/null || kill "$served"
wait "$served" || true
served=
rm -f "$data.out"
if fengqiao check --data "$data" >/dev/null 2>&1; then fail "root opened the directory of a stopped box"; fi
[ -z "$(find "$data" ! -user fengqiao)" ] || fail "files of root are in $data"
before="$(sha256sum "$data/identity/box.json")"
[ "$(stat -c %a "$data")" = 700 ] || fail "others may read $data"
dpkg -i "$new" >/dev/null
dpkg -s fengqiao | grep -q '^Version: 0.2.0' || fail "the upgrade did not take"
[ "$before" = "$(sha256sum "$data/identity/box.json")" ] || fail "the upgrade touched the data"
dpkg --remove fengqiao >/dev/null
[ ! -e /usr/bin/fengqiao ] || fail "the program is still there"
[ "$before" = "$(sha256sum "$data/identity/box.json")" ] || fail "removal touched the data"
dpkg --purge fengqiao >/dev/null
[ -e "$data/identity/box.json" ] || fail "purge removed a township's data"
if command -v systemd-analyze >/dev/null; then
	systemd-analyze security --offline=yes packaging/systemd/fengqiao.service 2>/dev/null | tail -1
fi
echo "deb: installed, upgraded, removed; data kept"
