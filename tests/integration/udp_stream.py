"""Numbered UDP packets at 100 a second, and their echo. Run on hosts of the lab; ends when standard input does."""

import itertools
import json
import select
import socket
import sys
import time

PORT = 7007
INTERVAL = 0.01
STRAGGLERS_SECONDS = 3.0


def stdin_ended() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0]) and not sys.stdin.buffer.read1(1)


def echo(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, PORT))
        print("ready", flush=True)
        while not stdin_ended():
            if select.select([sock], [], [], 0.2)[0]:
                packet, sender = sock.recvfrom(64)
                sock.sendto(packet, sender)


def greet(sock: socket.socket) -> None:
    """Until the tunnel is up: its first handshake is no part of the measurement."""
    while True:
        sock.send(b"hello")
        if select.select([sock], [], [], 0.2)[0] and sock.recv(64) == b"hello":
            return


def receive(sock: socket.socket, came: dict[int, float], until: float) -> None:
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([sock], [], [], left)[0]:
            return
        packet = sock.recv(64)
        if packet.isdigit():
            came.setdefault(int(packet), time.monotonic())


def send(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((address, PORT))
        greet(sock)
        print("ready", flush=True)
        came: dict[int, float] = {}
        sent = 0
        due = time.monotonic()
        while not stdin_ended():
            sock.send(b"%d" % sent)
            sent += 1
            due = max(due + INTERVAL, time.monotonic() - 1)  # after a stall of this machine, no endless burst
            receive(sock, came, due)
        end = time.monotonic() + STRAGGLERS_SECONDS
        while len(came) < sent and time.monotonic() < end:
            receive(sock, came, time.monotonic() + 0.1)
    times = sorted(came.values())
    gap = max((after - before for before, after in itertools.pairwise(times)), default=0.0)
    lost = [number for number in range(sent) if number not in came]
    print(json.dumps({"sent": sent, "lost": lost, "longest_gap": round(gap, 3)}))


if __name__ == "__main__":
    {"echo": echo, "send": send}[sys.argv[1]](sys.argv[2])
