#!/usr/bin/env bash
# Debian's stock kernel and an initial memory file system with the programs that a guest is to run.
#   make_initramfs.sh FOLDER PROGRAM…     makes FOLDER/vmlinux and FOLDER/initramfs
# Needs no root. Packages: linux-image-amd64 busybox-static kmod udev cpio xz-utils.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
shift

die() {
    echo "make_initramfs: $*" >&2
    exit 1
}

PATH=$PATH:/usr/sbin:/sbin
for tool in busybox cpio modprobe xz ldd udevadm "$@"; do
    command -v "$tool" >/dev/null || die "$tool is missing; run installer/ensure-packages installer/packages-test.txt"
done

# The newest kernel that has a virtual USB host controller; those for clouds have no USB.
release=
for candidate in $(printf '%s\n' /boot/vmlinuz-*-amd64 | sort -V); do
    version=${candidate#/boot/vmlinuz-}
    [ -e "/lib/modules/$version/kernel/drivers/usb/usbip/vhci-hcd.ko" ] && release=$version
done
[ -n "$release" ] || die "no kernel in /boot has vhci-hcd in /lib/modules; install linux-image-amd64"
[ -r "/boot/vmlinuz-$release" ] || die "/boot/vmlinuz-$release cannot be read by $(id -un)"

# Unpacked here it starts five seconds sooner than where an emulated processor unpacks it.
mkdir -p "$folder"
for offset in $(grep -obUaP '\xFD7zXZ\x00' "/boot/vmlinuz-$release" | cut -d: -f1); do
    tail -c +$((offset + 1)) "/boot/vmlinuz-$release" | xz -dc --single-stream >"$folder/vmlinux" 2>/dev/null || true
    [ -s "$folder/vmlinux" ] && break
done
[ -s "$folder/vmlinux" ] || die "/boot/vmlinuz-$release holds no kernel packed by xz"

root=$folder/root
rm -rf "$root"
mkdir -p "$root"/{bin,dev,etc,lib/modules,lib/systemd,proc,run,sys,tmp}
install -m 755 "$here/init.sh" "$root/init"
cp "$(command -v busybox)" "$root/bin/busybox"

for module in virtio_pci virtio_net vhci-hcd cdc-acm; do
    modprobe --set-version "$release" --show-depends "$module" ||
        die "kernel $release has no module $module"
done | while read -r verb file _; do
    [ "$verb" = insmod ] || continue
    name=$(basename "$file")
    [ -e "$root/lib/modules/$name" ] && continue
    cp "$file" "$root/lib/modules/$name"
    echo "$name" >>"$root/lib/modules/order"
done

# udevd tells libusb who came and went.
for program in udevadm "$@"; do
    file=$(readlink -f "$(command -v "$program")")
    strip --strip-debug -o "$root/bin/$(basename "$program")" "$file" 2>/dev/null ||
        cp "$file" "$root/bin/$(basename "$program")"
    ldd "$file" 2>/dev/null | grep -o '/[^ ]*' || true
done | sort -u | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done

mkdir -p "$root/share/provost"
cp -r "$here/../../stations/plans" "$here/../../stations/platforms" "$root/share/provost/"
ln -s udevadm "$root/bin/systemd-udevd"

(cd "$root" && find . | cpio --create --format=newc --quiet) >"$folder/initramfs"
rm -rf "$root"
