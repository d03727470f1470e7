#!/bin/sh
# GNU parallel over sandboxes, by the ssh configuration that P2PRC keeps: files go there, results come back.
#
#   p2prc touch --count 3 --near --name box
#   examples/gnu-parallel.sh box1,box2,box3 'wc -l < {} > {}.lines' .lines *.txt
#
# The first word names sandboxes, the second is the command, the third is what its result is called after its input.
# `p2prc map` needs no GNU parallel, no ssh for each task, and goes on after a sandbox is lost; this is for scripts that use parallel already.
set -eu

boxes=$1 command=$2 suffix=$3
shift 3
config=${P2PRC_HOME:-$HOME/.p2prc}/ssh_config

hosts=
for box in $(echo "$boxes" | tr , ' '); do
  hosts=${hosts:+$hosts,}$box.p2prc
done

# parallel starts ssh for tasks and rsync or scp for files; both read this.
PARALLEL_SSH="ssh -F $config" RSYNC_RSH="ssh -F $config" PARALLEL_RSYNC_OPTS="-rlDzR" \
  parallel --will-cite --sshlogin "$hosts" --transfer --return "{}$suffix" --cleanup "$command" ::: "$@"
