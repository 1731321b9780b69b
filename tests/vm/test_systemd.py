"""The units of systemd/, with systemd as the first process: boot, mount, killed and upgraded daemons, shutdown.

systemd runs in name spaces of its own inside of the shared machine, as in a container that may do everything.
"""

from __future__ import annotations

import re
import shlex

import pytest

from tests.docs.pages import Page
from tests.support.processes import G2DISK, ROOT
from tests.vm.machine import Machine

SECONDS = 300
MEMALLOC_NOIO = 0x00080000  # include/linux/sched.h; what PR_SET_IO_FLUSHER sets
pytestmark = pytest.mark.timeout(SECONDS + 240)

SHOWN = {
    block.options["systemd"]: block.text
    for block in Page(ROOT / "docs" / "survival.md").blocks()
    if "systemd" in block.options
}
"""The files that docs/survival.md shows, by name."""

BOOT = f"""
mkdir units etc journal
# What a boot of this machine needs not, the cleaning of /tmp among it.
for unit in tmpfiles-setup tmpfiles-setup-dev sysusers binfmt update-utmp journal-flush; do
    ln -s /dev/null "units/systemd-$unit.service"
done
for unit in {ROOT}/systemd/*.service; do sed -E 's#^(Exec.*=)g2disk #\\1{G2DISK} #' "$unit" >"units/${{unit##*/}}"; done
cat >units/test.target <<END
[Unit]
Requires=basic.target
Wants=remote-fs.target g2disk-server.service
After=basic.target remote-fs.target
AllowIsolate=yes
END
echo {shlex.quote(SHOWN["server.conf"])} >etc/server.conf
echo {shlex.quote(SHOWN["data.conf"])} >etc/data.conf
echo {shlex.quote(SHOWN["fstab"].replace("_netdev", "_netdev,x-systemd.makefs"))} >fstab
mkdir -p /etc/g2disk /srv/data
touch /etc/fstab
unshare --pid --fork --mount --cgroup --kill-child bash -ec '
    mount -t proc proc /proc
    umount /sys/fs/cgroup
    mount -t cgroup2 cgroup /sys/fs/cgroup
    mount -t tmpfs run /run
    mkdir -p /run/log/journal /run/udev/rules.d
    mount --bind journal /run/log/journal
    mount --bind units /etc/systemd/system
    mount --bind etc /etc/g2disk
    mount --bind fstab /etc/fstab
    cp {ROOT}/systemd/*.rules /run/udev/rules.d
    exec /lib/systemd/systemd --unit=test.target' </dev/null &
systemd=
inside() {{ nsenter --target "$systemd" --all --wdns="$PWD" "$@"; }}
state() {{ inside systemctl is-active "$@" | tr "\\n" " "; }}
said() {{ journalctl --directory=journal --output=short-monotonic --no-hostname --no-pager; }}
trap 'status=$?; [ $status = 0 ] || {{ said; inside systemctl --no-pager list-jobs; }}; exit $status' EXIT
until systemd=$(pgrep -x systemd) && inside systemctl is-active --quiet test.target 2>/dev/null; do sleep 0.2; done
"""

LIFE = """
findmnt --noheadings --output=SOURCE,FSTYPE --task "$systemd" /srv/data
echo "booted: $(state test.target g2disk-server g2disk-attach@data g2disk-daemon@data)"
write() { inside sh -c "head -c 1M /dev/urandom >/srv/data/$1; sync /srv/data/$1; sha256sum /srv/data/$1 >>/srv/sums"; }
daemon() { inside systemctl show --value --property=MainPID g2disk-daemon@data; }
another() { until [ "$(daemon)" != 0 ] && [ "$(daemon)" != "$1" ]; do sleep 0.1; done; }
pid=$(daemon)
echo "protected: $(inside sh -c "cd /proc/$pid; head -c 1 cmdline; cat oom_score_adj; grep VmLck status")"
echo "flags=$(inside awk '{print $9}' "/proc/$pid/stat")"
write first

old=$(daemon)
inside systemctl kill --kill-whom=main --signal=KILL g2disk-daemon@data
write killed
another "$old"
echo "killed: $(state g2disk-attach@data g2disk-daemon@data)"
old=$(daemon)
inside systemctl restart g2disk-daemon@data
write upgraded
another "$old"
inside systemctl restart g2disk-server
write restarted
findmnt --noheadings --output=SOURCE --task "$systemd" /srv/data
inside sha256sum --check /srv/sums

inside systemctl poweroff
wait %1 || true
said
echo "left=$(cat /sys/block/nbd*/pid 2>/dev/null | wc -l)"
"""


@pytest.mark.soak
def test_a_mount_of_fstab_lives_from_boot_to_shutdown(machine: Machine) -> None:
    """It is made at boot, outlives the daemon's and the server's restarts, and at shutdown comes down before both."""
    output = machine.check(BOOT + LIFE, timeout=SECONDS)
    print(output)

    assert re.search(r"^/dev/nbd\d+ +ext4$", output, re.MULTILINE), output
    assert "booted: active active active active" in output, output
    assert re.search(r"protected: @-1000\nVmLck:\s+\d{5}", output), output
    assert int(re.findall(r"^flags=(\d+)$", output, re.MULTILINE)[0]) & MEMALLOC_NOIO, output
    assert "killed: active active" in output, output
    assert 4 == output.count(": OK\n"), output
    down = output[output.index("Unmounted srv-data.mount") :]
    assert 0 < down.index("Stopped g2disk-attach@data") < down.index("Stopped g2disk-server"), output
    assert not re.search("g2disk.*Failed", down), output
    assert "left=0" in output, output
