#!/bin/busybox sh
# First program of the guest. Obeys commands on the second serial port: a line is run by the shell,
# "exit STATUS BYTES" and its output are the answer.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp LC_ALL=C.UTF-8
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t tmpfs none /run
mkdir -p /dev/pts
mount -t devpts none /dev/pts
while read -r module; do
    insmod "/lib/modules/$module" || echo "insmod $module failed" >/dev/console
done </lib/modules/order
ip link set lo up
ip address add 10.0.2.15/24 dev eth0
ip link set eth0 up
systemd-udevd --daemon >/dev/console 2>&1
stty -F /dev/ttyS1 raw -echo
exec </dev/ttyS1 >/dev/ttyS1 2>/dev/console
echo ready
while read -r line; do
    sh -c "$line" >/run/answer 2>&1 </dev/null
    echo "exit $? $(stat -c %s /run/answer)"
    cat /run/answer
done
poweroff -f
