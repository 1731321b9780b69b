#!/bin/busybox sh
# The first process of the virtual machine, in its initramfs: it puts a layer of memory over the host's file system,
# which the host thus never sees changed, and goes on there as agent.sh.  The one line it reads from the second serial
# port is the host's directory that both may write to, seen as /shared here.
export PATH=/bin
/bin/busybox --install -s /bin
mkdir -p /dev /proc /sys /host /memory /root
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in $(cat /modules/order); do
    insmod "/modules/$module"
done
ifconfig lo 127.0.0.1 up

mount -t virtiofs host /host
mount -t tmpfs -o size=100% memory /memory
mkdir /memory/upper /memory/work
mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work root /root

# The port stays open from here on: what arrives while it is closed is lost.
exec 3<>/dev/ttyS1
stty raw -echo <&3
echo booted >&3
read -r shared <&3
mkdir -p /root/shared
mount --bind "/host$shared" /root/shared
mount --move /dev /root/dev
mount --move /proc /root/proc
mount --move /sys /root/sys
exec switch_root /root /bin/bash /shared/agent.sh
