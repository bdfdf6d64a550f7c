#!/usr/bin/env python3
"""
Numbered UDP packets there and back, in a process of its own, so that nothing else here holds them up.

    udp_echo.py serve                         send back whatever comes
    udp_echo.py stream ADDRESS SECONDS RATE [SIZE]
                                              "-" for SECONDS: until the standard input ends; SIZE in bytes

``stream`` prints how many packets were ``sent`` and ``received``, and the ``gap``: the longest time without an answer.

What a busy machine has no time to read waits in large buffers. Otherwise the kernel drops it at the socket, which is no
loss of the tunnel: on user-mode Linux, that was half of all packets of an idle tunnel.
"""

import contextlib
import itertools
import json
import socket
import sys
import threading
import time

PORT = 7
LAST_ANSWERS_SECONDS = 0.2
BUFFER = 1 << 24  # bytes

_SO_RCVBUFFORCE = 33  # Python has no name for it: more than net.core.rmem_max, as root


def serve() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("", PORT))
        udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER)
        while True:
            with contextlib.suppress(OSError):
                data, sender = udp.recvfrom(2048)
                udp.sendto(data, sender)


def stream(address: str, seconds: float | None, rate: int, size: int = 64) -> None:
    arrivals: dict[int, float] = {}
    ended = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("", 0))
        udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER)
        listener = threading.Thread(target=_listen, args=(udp, arrivals, ended))
        listener.start()
        started = time.monotonic()
        sent = 0
        asked_to_end = _end_of_input() if seconds is None else threading.Event()
        while not asked_to_end.is_set() and (seconds is None or time.monotonic() - started < seconds):
            time.sleep(max(started + sent / rate - time.monotonic(), 0))
            with contextlib.suppress(OSError):
                udp.sendto(sent.to_bytes(8, "big") + bytes(size - 8), (address, PORT))
            sent += 1
        stopped = time.monotonic()
        before = -1
        while len(arrivals) != before:
            before = len(arrivals)
            time.sleep(LAST_ANSWERS_SECONDS)
        ended.set()
        listener.join()
    times = [started, *sorted(arrivals.values()), max(stopped, *arrivals.values(), 0)]
    gap = max(later - earlier for earlier, later in itertools.pairwise(times))
    print(json.dumps({"sent": sent, "received": len(arrivals), "gap": gap}))


def _end_of_input() -> threading.Event:
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return ended


def _listen(udp: socket.socket, arrivals: dict[int, float], ended: threading.Event) -> None:
    udp.settimeout(0.05)
    while not ended.is_set():
        with contextlib.suppress(OSError):
            number = int.from_bytes(udp.recv(2048)[:8], "big")
            arrivals.setdefault(number, time.monotonic())


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    elif len(sys.argv) in (5, 6) and sys.argv[1] == "stream":
        stream(sys.argv[2], None if sys.argv[3] == "-" else float(sys.argv[3]), *map(int, sys.argv[4:]))
    else:
        sys.exit(__doc__)
