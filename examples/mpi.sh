#!/bin/sh
# MPI over the sandboxes of a group: one rank in each, by MPICH, each with ports of its own.
#
#   p2prc touch --count 3 --near --name box --group farm --image PYTHON-WITH-MPICH
#   examples/mpi.sh farm examples/mpi-sum.py
#
# They reach each other by `p2prc group tunnel` and need no network. It takes an MPICH that brings libfabric, as `pip install mpich` does, and
# where that is inside goes into MPICH; Debian's has UCX alone, which looks for network devices that a sandbox has not (docs/engines.md).
set -eu

group=$1 program=$2
p2prc=${P2PRC:-p2prc}
mpich=${MPICH:-/usr/local}
ports_each=8 first_port=9300

folder=$(mktemp -d)
running=
end() {
  trap - EXIT INT TERM
  # What an exec started ends with it.
  for pid in $running; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || :; done
  $p2prc group tunnel "$group" --stop >&2 || :
  rm -r "$folder"
}
trap end EXIT
trap 'exit 130' INT TERM

# A rank tells the others that it is at 127.0.0.1, which leads to it where it alone has the port. mpiexec has some in the first.
boxes=$($p2prc group show "$group" | awk 'NR > 1 { print $1 }')
head=$(echo "$boxes" | head -n 1)
control=$((first_port - 8))
options="--port $head:$control-$((first_port - 1))" ranks='' from=$first_port
for box in $boxes; do
  last=$((from + ports_each - 1))
  options="$options --port $box:$from-$last"
  ranks="${ranks:+$ranks : }-n 1 -env FI_TCP_PORT_LOW_RANGE $from -env FI_TCP_PORT_HIGH_RANGE $last python3 /tmp/mpi-program"
  from=$((last + 1))
done
$p2prc group tunnel "$group" $options >&2
for box in $boxes; do $p2prc cp "$program" "$box:/tmp/mpi-program" >&2; done

# mpiexec says what is to be run where, and waits for it to call back.
mkfifo "$folder/said"
$p2prc exec "$head" -- env MPICH_PORT_RANGE=$control:$((first_port - 1)) LD_LIBRARY_PATH="$mpich/lib" \
  MPIR_CVAR_CH4_NETMOD=ofi FI_PROVIDER=tcp FI_TCP_IFACE=lo \
  "$mpich/bin/mpiexec.hydra" -launcher manual -hosts "$(echo $boxes | tr ' ' ,)" $ranks > "$folder/said" &
mpiexec=$! running=$!
set -- $boxes
while read -r word command; do
  case $word in
  HYDRA_LAUNCH:)
    $p2prc exec "$1" -- sh -c "$command" >&2 &
    running="$running $!"
    shift
    ;;
  HYDRA_LAUNCH_END) ;;
  *) echo "$word $command" ;;
  esac
done < "$folder/said"
wait $mpiexec
