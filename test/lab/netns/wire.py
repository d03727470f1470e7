"""A cable with delay, jitter, loss and a rate, for kernels without `tc netem`.

wire.py A B: what comes in at interface A leaves at B later, and the other way round. Each line on
stdin is a new shape: delay in ms, jitter in ms, loss in percent, rate in Mbit/s (0: none). It says
"ready" once it carries, and ends when stdin does.

Frames keep the header in which the kernel notes unfinished checksums and segments (PACKET_VNET_HDR),
so large segments cross in one piece. The order of frames is kept, whatever the jitter.
"""

import collections
import os
import random
import select
import socket
import sys
import time

SOL_PACKET = 263
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
ETH_P_ALL = 3
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
# A segment of 64 KiB with its headers, as large as the kernel makes them.
MAX_FRAME = 1 << 17
# As netem is told: more than a fast link holds in a long delay.
MAX_QUEUED = 100_000


def port(name):
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    end.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    for buffer in (SO_RCVBUFFORCE, SO_SNDBUFFORCE):
        end.setsockopt(socket.SOL_SOCKET, buffer, 1 << 26)
    end.bind((name, ETH_P_ALL))
    end.setblocking(False)
    return end


class Lane:
    """One direction."""

    def __init__(self, source, target):
        self.source, self.target = source, target
        self.frames = collections.deque()
        self.free_at = 0.0
        self.last = 0.0

    def take(self, shape):
        delay, jitter, loss, rate = shape
        for _ in range(64):
            try:
                frame = self.source.recv(MAX_FRAME)
            except BlockingIOError:
                return
            except OSError:  # the interface is down
                return
            if len(self.frames) >= MAX_QUEUED or (loss and random.random() * 100 < loss):
                continue
            now = time.monotonic()
            due = now
            if rate:
                self.free_at = max(now, self.free_at) + len(frame) * 8 / (rate * 1e6)
                due = self.free_at
            due += max(0.0, delay + (random.uniform(-jitter, jitter) if jitter else 0)) / 1000
            self.last = due = max(due, self.last)
            self.frames.append((due, frame))

    def give(self, now):
        while self.frames and self.frames[0][0] <= now:
            frame = self.frames.popleft()[1]
            try:
                self.target.send(frame)
            except OSError:  # a full queue or a cable that was pulled: a lost frame, as on any wire
                pass


def main():
    a, b = port(sys.argv[1]), port(sys.argv[2])
    lanes = {a: Lane(a, b), b: Lane(b, a)}
    shape = (0.0, 0.0, 0.0, 0.0)
    print("ready", flush=True)
    while True:
        due = [lane.frames[0][0] for lane in lanes.values() if lane.frames]
        wait = max(0.0, min(due) - time.monotonic()) if due else None
        for end in select.select([0, a, b], [], [], wait)[0]:
            if end == 0:
                line = os.read(0, 4096)
                if not line:
                    return
                shape = tuple(float(word) for word in line.splitlines()[-1].split())
                print("shaped", flush=True)
            else:
                lanes[end].take(shape)
        now = time.monotonic()
        for lane in lanes.values():
            lane.give(now)


main()
