#!/bin/sh
# A Dask cluster over the sandboxes of a group: a scheduler in the first, a worker in each, and a program of yours as its client.
#
#   p2prc touch --count 3 --near --name box --group farm --image DEBIAN-WITH-DASK
#   examples/dask.sh farm examples/dask-product.py
#
# They reach each other by `p2prc group tunnel` and need no network. Each needs python3 with `distributed` (Debian: python3-distributed):
# sandboxes of bubblewrap without an image see the host's. The program runs in the last one, and is told where the scheduler is.
set -eu

group=$1 program=$2
p2prc=${P2PRC:-p2prc}
scheduler_port=8786 worker_port=9000

end() {
  trap - EXIT INT TERM
  # What an exec started ends with it.
  for pid in $running; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || :; done
  $p2prc group tunnel "$group" --stop >&2
}
running=
members=$($p2prc group tunnel "$group" --port $scheduler_port --port $worker_port | awk 'NR > 1 { print $1 "=" $2 }')
trap end EXIT
trap 'exit 130' INT TERM

# Each listens at its own address of the tunnel, by which the others know it.
for member in $members; do
  box=${member%=*} address=${member#*=}
  if [ -z "$running" ]; then
    scheduler=tcp://$address:$scheduler_port
    $p2prc exec "$box" -- python3 -m distributed.cli.dask_scheduler --host "$address" --port $scheduler_port \
      --no-dashboard --no-show --no-jupyter >&2 &
    running=$!
    # Only then is there somebody to connect to.
    $p2prc exec "$box" -- python3 -c 'import socket, sys, time
for wait in range(240):
    if socket.socket().connect_ex((sys.argv[1], int(sys.argv[2]))) == 0: sys.exit()
    time.sleep(0.25)
sys.exit("the scheduler has not started within a minute")' "$address" $scheduler_port
  fi
  $p2prc exec "$box" -- python3 -m distributed.cli.dask_worker "$scheduler" --host "$address" --worker-port $worker_port \
    --name "$box" --no-nanny --no-dashboard --nthreads 1 --local-directory /tmp/dask >&2 &
  running="$running $!"
done

$p2prc exec "$box" -- python3 - "$scheduler" "$(echo "$members" | wc -l)" < "$program"
