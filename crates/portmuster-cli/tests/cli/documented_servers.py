"""Starts the servers that the documentation checks, and runs a command that connects to them.

    python3 documented_servers.py COMMAND [ARGUMENT ...]

Must run in a network namespace of its own, in which 10.0.0.0/8 is local. Exits with the command's
status.
"""

import socket
import struct
import subprocess
import sys
import threading

IAC, WILL, DO = 255, 251, 253
ECHO, TERMINAL_TYPE = 1, 24


def key_exchange_offer(kex, host_keys, cipher, mac):
    """Returns an SSH_MSG_KEXINIT as a packet (RFC 4253 sections 6 and 7.1)."""
    lists = [kex, host_keys, cipher, cipher, mac, mac, "none", "none", "", ""]
    payload = b"\x14" + bytes(16)
    payload += b"".join(struct.pack("!I", len(names)) + names.encode() for names in lists)
    payload += bytes(5)
    padding = 8 - (5 + len(payload)) % 8
    padding += 8 if padding < 4 else 0
    return struct.pack("!IB", 1 + len(payload) + padding, padding) + payload + bytes(padding)


def ssh(software, offer):
    def serve(client):
        client.sendall(f"SSH-2.0-{software}\r\n".encode())
        client.recv(1024)
        client.sendall(offer)
        client.recv(1024)

    return serve


def telnet(client):
    commands = bytes([IAC, DO, TERMINAL_TYPE, IAC, WILL, ECHO])
    client.sendall(commands + b"Debian GNU/Linux 12 db login: ")
    while client.recv(1024):
        pass


def sensor(client):
    client.sendall(b"temperature 21.5, humidity 40\r\n")


def copy(source, sink):
    try:
        while received := source.recv(4096):
            sink.sendall(received)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # Either side may leave at any time.


def proxy(client):
    """Serves one client of a SOCKS5 proxy without a login (RFC 1928)."""
    client.recv(client.recv(2)[1])
    client.sendall(b"\x05\x00")
    kind = client.recv(4)[3]
    host = client.recv(client.recv(1)[0]).decode() if kind == 3 else socket.inet_ntoa(client.recv(4))
    (port,) = struct.unpack("!H", client.recv(2))
    reply = b"\x00\x01" + bytes(6)
    try:
        server = socket.create_connection((host, port))
    except OSError:
        client.sendall(b"\x05\x05" + reply)
        return
    with server:
        client.sendall(b"\x05\x00" + reply)
        threading.Thread(target=copy, args=(client, server), daemon=True).start()
        copy(server, client)


WEAK = key_exchange_offer(
    "curve25519-sha256,diffie-hellman-group14-sha1",
    "rsa-sha2-256,ssh-rsa",
    "aes128-ctr",
    "hmac-sha2-256",
)
STRONG = key_exchange_offer(
    "mlkem768x25519-sha256,curve25519-sha256,kex-strict-s-v00@openssh.com",
    "ssh-ed25519",
    "chacha20-poly1305@openssh.com",
    "hmac-sha2-256",
)
SERVERS = {
    ("10.0.0.5", 22): ssh("OpenSSH_7.4", WEAK),
    ("10.0.0.5", 23): telnet,
    ("10.0.0.7", 22): ssh("dropbear_2025.89", STRONG),
    ("10.0.0.8", 23): sensor,
    ("10.0.1.1", 1080): proxy,
}


def handle(serve, client):
    with client:
        try:
            serve(client)
        except ConnectionError:
            pass  # The client may leave at any time.


def listen(endpoint, serve):
    def accept(server):
        while True:
            client, _ = server.accept()
            threading.Thread(target=handle, args=(serve, client), daemon=True).start()

    server = socket.create_server(endpoint, backlog=128)
    threading.Thread(target=accept, args=(server,), daemon=True).start()


def main():
    for endpoint, serve in SERVERS.items():
        listen(endpoint, serve)
    sys.exit(subprocess.call(sys.argv[1:]))


main()
