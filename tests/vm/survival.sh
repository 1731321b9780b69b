# Functions for a script in the virtual machine: loads that verify what they read, processes that are killed and
# restarted while the loads run, and how long the loads had to wait.  What is measured is printed as NAME=NUMBER.
export G2DISK_RUN_DIR=$PWD/run
touch restarts stalls latencies

milliseconds() { # since the machine was started
    read -r seconds _ </proc/uptime
    echo $((10#${seconds/./} * 10))
}

launch_server() { # STORE...: not ready yet; the same again with no arguments
    [ $# -eq 0 ] || SERVE=("$@")
    g2disk serve "${SERVE[@]}" 1<>said.server 2>>server.log </dev/null &
    SERVER=$!
}

launch_daemon() { # DISK [OPTION...]: as systemd does; the same again, to take its device over, with DISK alone
    [ $# -eq 1 ] || printf '%s\n' "${@:2}" >"options.$1"
    readarray -t given <"options.$1"
    g2disk attach "$1" "${given[@]}" --foreground 1<>"said.$1" 2>>"daemon.$1.log" </dev/null &
    DAEMON[$1]=$!
}
declare -A DAEMON

wait_for_server() {
    read -r _ <said.server || { cat server.log; return 1; }
}

wait_for_daemon() { # DISK
    local device
    read -r device <"said.$1" || { cat "daemon.$1.log"; return 1; }
    echo "$device" >"device.$1"
}
mkfifo said.server said.raw said.files

kill_now() { # PID...: they are gone when this returns
    kill -KILL "$@"
    wait "$@" 2>/dev/null || true
}

nbdkit_of() { # DISK: the pid of its nbdkit
    local state
    state=$(grep -l "\"disk\": \"$1\"" "$G2DISK_RUN_DIR"/*/state.json)
    sed -n '/"gateway": {/,/}/s/.*"pid": \([0-9]*\).*/\1/p' "$state"
}

kill_one() { # VICTIM: server, daemon:DISK, gateway:DISK or both:DISK; what nobody restarts by itself is started again
    local begun victim=$1 disk=${1#*:}
    begun=$(milliseconds)
    case $victim in
    server)
        kill_now "$SERVER"
        launch_server
        wait_for_server
        ;;
    daemon:*)
        kill_now "${DAEMON[$disk]}"
        launch_daemon "$disk"
        wait_for_daemon "$disk"
        ;;
    gateway:*)
        kill -KILL "$(nbdkit_of "$disk")"
        settle "$disk"
        ;;
    both:*)
        kill_now "$SERVER" "${DAEMON[$disk]}"
        launch_server
        launch_daemon "$disk"
        wait_for_server
        wait_for_daemon "$disk"
        echo "$victim 0" >>restarts
        ;;
    *) echo "no such victim: $victim" && return 1 ;;
    esac
    echo "$victim $(($(milliseconds) - begun))" >>restarts
    echo "killed $victim at $begun ms, back after $(($(milliseconds) - begun)) ms"
}

settle() { # DISK: until a flush has gone all the way
    dd if=/dev/null of="$(cat "device.$1")" conv=notrunc,fsync status=none
}

verify() { # DISK FILE SEED [OPTION...]: one run of fio, that reads back all that it wrote
    fio --name="$1" --filename="$2" --randseed="$3" --rw=randwrite --bsrange=4k-64k --verify=crc32c --verify_fatal=1 \
        --output-format=json --output="fio.$1.json" "${@:4}" >"fio.$1.log" 2>&1 ||
        { cat "fio.$1.log" "fio.$1.json"; return 1; }
}

# Both write at a pace that leaves the emulated processors to who is to be restarted.
on_device() { # SEED [OPTION...]: with many requests in flight, past the page cache
    verify raw "$(cat device.raw)" "$1" --size=4M --direct=1 --ioengine=libaio --iodepth=16 --serialize_overlap=1 \
        --fsync=32 --rate_iops=,30 "${@:2}"
}

on_files() { # SEED [OPTION...]: through ext4 and the page cache
    verify files files/data "$1" --size=4M --ioengine=psync --fsync=16 --rate_iops=,30 "${@:2}"
}

longest() { # RUN: the longest that one of its requests took, in milliseconds
    awk '/"c?lat_ns" *:/ { inside = 1 }
        inside && /"max"/ { gsub(/[^0-9]/, ""); if ($0 + 0 > most) most = $0 + 0; inside = 0 }
        END { printf "%d\n", most / 1e6 }' "fio.$1.json"
}

load() { # raw|files: one verified run after the other until the file `enough` is there
    local seed=1 run=on_device
    [ "$1" = raw ] || run=on_files
    while [ ! -e enough ]; do
        echo "$seed" >"seed.$1"
        "$run" "$seed" --do_verify=1 || { touch failed; return 1; }
        echo "$1 $(longest "$1")" >>latencies
        if [ "$1" = files ]; then
            head -c 256K /dev/urandom >"files/$seed"
            sync "files/$seed"
            (cd files && sha256sum "$seed") >>sums
        fi
        seed=$((seed + 1))
    done
}

probe() { # DISK: read its first block again and again, and note each read that took longer than a second
    local begun took
    while [ ! -e enough ]; do
        begun=$(milliseconds)
        dd if="$(cat "device.$1")" of=/dev/null bs=4096 count=1 iflag=direct status=none || { touch failed; return 1; }
        took=$(($(milliseconds) - begun))
        [ "$took" -lt 1000 ] || echo "$1 $took" >>stalls
        sleep 0.5
    done
}

chaos() { # NUMBER "DISK..." VICTIM...: kill that many of them, drawn by lot, one after the other, while the disks are used
    local disk running=() victims=("${@:3}")
    rm -f enough
    for disk in $2; do
        load "$disk" & running+=($!)
        probe "$disk" & running+=($!)
    done
    for ((kills = 0; kills < $1; kills++)); do
        sleep "$((RANDOM % 2)).$((RANDOM % 10))"
        kill_one "${victims[RANDOM % ${#victims[@]}]}"
        for disk in $2; do
            settle "$disk"
        done
        [ ! -e failed ] || break
    done
    touch enough
    wait "${running[@]}"
    [ ! -e failed ]
}

check_raw() { # what is stored is what was written last, asked of the disk and not of the kernel's memory
    echo 3 >/proc/sys/vm/drop_caches
    on_device "$(cat seed.raw)" --verify_only
}

check_files() { # likewise
    umount files
    echo 3 >/proc/sys/vm/drop_caches
    e2fsck -f -n "$(cat device.files)"
    mount "$(cat device.files)" files
    on_files "$(cat seed.files)" --verify_only
    (cd files && sha256sum --quiet --check ../sums)
    umount files
}

tell() { # the longest restart and stall so far, and fio's latency, in milliseconds; fio at a pace collects replies late
    echo "restart=$(sed 's/.* //' restarts | sort -n | tail -n 1)"
    echo "stall=$(sed 's/.* //' stalls | sort -n | tail -n 1)"
    echo "fio=$(sed 's/.* //' latencies | sort -n | tail -n 1)"
    echo "killed=$(wc -l <restarts)"
}
