"""Traffic that is counted to the last datagram: `traffic.py echo ADDRESS` sends back, `traffic.py drive ADDRESS STOP` sends until the file STOP is there.

UDP to port 10001, a numbered datagram each millisecond; TCP to port 10002, one connection whose bytes are checked. Prints one line of JSON at the end.
"""
import json
import os
import socket
import sys
import threading
import time

UDP, TCP, CHUNK = 10001, 10002, 4096


def udp_socket():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
    return s


def echo(address):
    datagrams = udp_socket()
    datagrams.bind((address, UDP))

    def answer():
        while True:
            data, sender = datagrams.recvfrom(2000)
            datagrams.sendto(data, sender)

    threading.Thread(target=answer, daemon=True).start()
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, TCP))
    server.listen()
    print("ready", flush=True)
    while True:
        connection, _ = server.accept()
        while data := connection.recv(1 << 16):
            connection.sendall(data)


def gaps(seen, sent):
    """The first twenty runs of numbers that did not come back: a number is some millisecond after the start."""
    runs = []
    for number in range(sent):
        if number in seen:
            continue
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs[:20]


def drive(address, stop):
    result = {"udpSent": 0, "udpReceived": 0, "udpMissing": [], "tcpBytes": 0, "tcpFault": None}
    datagrams = udp_socket()
    datagrams.settimeout(3)
    seen = set()

    def collect():
        try:
            while True:
                seen.add(int.from_bytes(datagrams.recv(2000)[:4], "big"))
        except TimeoutError:
            pass

    def stream():
        try:
            connection = socket.create_connection((address, TCP), timeout=20)
            print("connected", flush=True)
            number = 0
            while not os.path.exists(stop):
                chunk = number.to_bytes(4, "big") * (CHUNK // 4)
                connection.sendall(chunk)
                came = b""
                while len(came) < CHUNK:
                    more = connection.recv(CHUNK - len(came))
                    if not more:
                        raise OSError("the connection was closed")
                    came += more
                if came != chunk:
                    raise OSError(f"chunk {number} came back as another")
                number += 1
                result["tcpBytes"] += CHUNK
                time.sleep(0.002)
        except OSError as fault:
            result["tcpFault"] = f"{fault}, {time.monotonic() - start:.1f} s after the start"

    datagrams.bind(("", 0))
    start = due = time.monotonic()
    threads = [threading.Thread(target=collect), threading.Thread(target=stream)]
    for thread in threads:
        thread.start()
    while not os.path.exists(stop):
        datagrams.sendto(result["udpSent"].to_bytes(4, "big") + bytes(96), (address, UDP))
        result["udpSent"] += 1
        # After a pause of the whole machine, not all that it missed at once: a device's queue has a thousand places.
        due = max(due + 0.001, time.monotonic() - 0.1)
        time.sleep(max(0, due - time.monotonic()))
    for thread in threads:
        thread.join()
    result["udpReceived"] = len(seen)
    result["udpMissing"] = gaps(seen, result["udpSent"])
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    echo(sys.argv[2]) if sys.argv[1] == "echo" else drive(sys.argv[2], sys.argv[3])
