#!/usr/bin/env bash
# Builds dist/fengqiao_<version>_<arch>.deb from bin/fengqiao with dpkg-deb.
set -euo pipefail
cd "$(dirname "$0")/../.."
version="${1#v}"
case "$version" in [0-9]*) ;; *) version="0~$version" ;; esac
arch="$(dpkg --print-architecture)"
root="$(mktemp -d)"
trap 'rm -rf "$root"' EXIT
install -D -m 0755 bin/fengqiao "$root/usr/bin/fengqiao"
install -D -m 0644 packaging/systemd/fengqiao.service "$root/lib/systemd/system/fengqiao.service"
install -D -m 0644 LICENSE "$root/usr/share/doc/fengqiao/copyright"
mkdir -p "$root/DEBIAN"
for script in postinst prerm postrm; do install -m 0755 "packaging/deb/$script" "$root/DEBIAN/$script"; done
cat > "$root/DEBIAN/control" <<CONTROL
Package: fengqiao
Version: $version
Architecture: $arch
Maintainer: Fengqiao <maintainers@fengqiao.invalid>
Section: admin
Priority: optional
Depends: adduser
Recommends: fonts-noto-cjk
Description: township command centre appliance (综合指挥中心)
 One self-contained program for the comprehensive command centre of a
 Chinese township: intake, flow, mediation, search, duty and wall.
CONTROL
mkdir -p dist
# DEB_COMPRESS=none saves a test the minutes that xz takes on a small machine.
dpkg-deb -Z"${DEB_COMPRESS:-xz}" --root-owner-group --build "$root" "dist/fengqiao_${version}_${arch}.deb" >/dev/null
echo "dist/fengqiao_${version}_${arch}.deb"
