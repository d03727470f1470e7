"""A ring and a sum over all ranks, by MPICH's own library and nothing else: for mpi.sh."""

import ctypes as c
import socket
import sys

mpi = c.CDLL("libmpi.so.12")
# As mpi.h of MPICH has them; they are the same in all of its versions (its ABI).
WORLD, INT, SUM, IGNORE = 0x44000000, 0x4C000405, 0x58000003, c.c_void_p(1)

mpi.MPI_Init(None, None)
rank, size = c.c_int(), c.c_int()
mpi.MPI_Comm_rank(WORLD, c.byref(rank))
mpi.MPI_Comm_size(WORLD, c.byref(size))
me, all_of_us = rank.value, size.value

# A million numbers go around once; each rank adds its own.
count = 1_000_000
ring = (c.c_int * count)()
if me == 0:
    mpi.MPI_Send(ring, count, INT, 1 % all_of_us, 0, WORLD)
mpi.MPI_Recv(ring, count, INT, (me - 1) % all_of_us, 0, WORLD, IGNORE)
for at in range(0, count, 1_000):
    ring[at] += me + 1
if me > 0:
    mpi.MPI_Send(ring, count, INT, (me + 1) % all_of_us, 0, WORLD)

own, total = c.c_int((me + 1) ** 2), c.c_int()
mpi.MPI_Allreduce(c.byref(own), c.byref(total), 1, INT, SUM, WORLD)
assert total.value == sum((each + 1) ** 2 for each in range(all_of_us)), total.value
if me == 0:
    assert ring[0] == ring[count - 1_000] == sum(range(1, all_of_us + 1)), ring[0]
    print(f"ranks {all_of_us}, ring {ring[0]}, sum {total.value}", flush=True)
print(f"rank {me} on {socket.gethostname()}", file=sys.stderr, flush=True)
mpi.MPI_Finalize()
