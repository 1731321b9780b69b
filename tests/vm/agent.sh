# The first process of the virtual machine once the host's file system is there.  It makes a running system of it, then
# runs the scripts that the host names on the second serial port (file 3), one after the other, and answers each with
# its exit status.  Before this text come RELEASE and MODULES, of the kernel; PROGRAMS, the directory of the Python that runs the
# tests; and KEEP, the directories of the project that lie in /tmp or /run.
set -eu
export PATH=$PROGRAMS:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/run/home LANG=C.UTF-8

mkdir -p /before "/lib/modules/$RELEASE"
mount --bind "$MODULES" "/lib/modules/$RELEASE"
mount --bind / /before
mount -t tmpfs -o size=100% run /run
mount -t tmpfs -o size=100%,mode=1777 tmp /tmp
for directory in "${KEEP[@]}"; do
    mkdir -p "$directory"
    mount --bind "/before$directory" "$directory"
done
mkdir -p "$HOME" /run/lock /dev/shm /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t devpts -o ptmxmode=666 pts /dev/pts
mount -t cgroup2 cgroup /sys/fs/cgroup
for name in fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
    ln -sfn "/proc/self/${name#*:}" "/dev/${name%:*}"
done
modprobe nbd nbds_max=16
modprobe --all loop fuse

run() { # NUMBER SECONDS: the script of that number, in a directory of its own; afterwards nothing is left of it
    local group=/sys/fs/cgroup/$1 status=0
    mkdir "$group" "/tmp/$1"
    (
        echo "$BASHPID" >"$group/cgroup.procs"
        cd "/tmp/$1"
        exec timeout --kill-after=5 "$2" bash "/shared/$1.sh" </dev/null >"/shared/$1.output" 2>&1 3>&-
    ) || status=$?
    echo 1 >"$group/cgroup.kill"
    # A request that its server left unanswered would wait for ever; letting go of the device fails it.
    for pid in /sys/block/nbd*/pid; do
        test ! -e "$pid" || nbd-client -d "/dev/$(basename "${pid%/pid}")" >/dev/null
    done
    until find "$group" -depth -type d -exec rmdir {} + 2>/dev/null; do
        sleep 0.05
    done
    exit "$status"
}
export -f run

echo ready >&3
while read -r number seconds <&3; do
    status=0
    # A mount namespace for each: when this last process of it ends, what was mounted there no longer is.
    unshare --mount bash -c 'run "$@"' run "$number" "$seconds" || status=$?
    echo "$number $status" >&3
done
