"""The other end of probe.ts: one UDP and one TCP port, told what to do by lines on stdin.

    udp ADDRESS PORT WORD        sends WORD there; whoever hears one says `heard WORD ADDRESS PORT`
    tcp ADDRESS PORT WORD MS     connects within MS and says `WORD connected`, or what came instead
    join GROUP                   hears that multicast group too, and says `joined GROUP`
    write WORD MS                writes into all those connections and says `WORD alive` when all echoed, or what came
"""

import errno
import socket
import struct
import sys
import threading

PORT = int(sys.argv[1])
kept = []


def say(*words):
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")


def both(kind):
    end = socket.socket(socket.AF_INET6, kind)
    end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    end.bind(("::", PORT))
    return end


def wide(address):
    return address if ":" in address else f"::ffff:{address}"


def plain(address):
    return address.removeprefix("::ffff:")


def hear(udp):
    while True:
        data, source = udp.recvfrom(2048)
        say("heard", data.decode(), plain(source[0]), source[1])


def echo(end):
    try:
        while data := end.recv(2048):
            end.sendall(data)
    except OSError:
        pass  # it was reset, which the other end tells


def accept(tcp):
    while True:
        end, _ = tcp.accept()
        threading.Thread(target=echo, args=(end,), daemon=True).start()


def name(error):
    if isinstance(error, TimeoutError):
        return "silence"
    return errno.errorcode.get(error.errno, "unknown")


def connect(address, port, word, ms):
    end = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    end.settimeout(int(ms) / 1000)
    try:
        end.connect((address, int(port)))
        kept.append(end)
        say(word, "connected")
    except OSError as error:
        say(word, name(error))


def write(word, ms):
    for end in list(kept):
        end.settimeout(int(ms) / 1000)
        try:
            end.sendall(word.encode())
            end.recv(2048)
        except OSError as error:
            kept.remove(end)
            say(word, name(error))
            return
    say(word, "alive")


def main():
    udp, tcp = both(socket.SOCK_DGRAM), both(socket.SOCK_STREAM)
    tcp.listen(16)
    for task, end in ((hear, udp), (accept, tcp)):
        threading.Thread(target=task, args=(end,), daemon=True).start()
    say("ready")
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "udp":
            try:
                udp.sendto(rest[2].encode(), (wide(rest[0]), int(rest[1])))
            except OSError:
                pass  # nobody hears it, which tells
        elif word == "tcp":
            threading.Thread(target=connect, args=rest, daemon=True).start()
        elif word == "join":
            # Of an IPv6 socket the system asks for the option of IPv4 for an IPv4 group.
            member = struct.pack("4s4si", socket.inet_aton(rest[0]), bytes(4), socket.if_nametoindex("eth0"))
            udp.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            say("joined", rest[0])
        else:
            write(*rest)


main()
