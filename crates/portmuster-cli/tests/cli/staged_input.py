"""Feeds a program a second part of its input after it has written LINES lines.

    staged_input.py LINES FIRST SECOND PROGRAM [ARGUMENT] …

Meanwhile a server on port 22 of every IPv4 address sends an ssh greeting.
"""

import socket
import subprocess
import sys
import threading


def greet(server):
    while True:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"SSH-2.0-greeter\r\n")


server = socket.create_server(("0.0.0.0", 22), backlog=64)
threading.Thread(target=greet, args=[server], daemon=True).start()

lines, first, second, *program = sys.argv[1:]
running = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
running.stdin.write(first + "\n")
running.stdin.flush()
for _ in range(int(lines)):
    sys.stdout.write(running.stdout.readline())
running.stdin.write(second + "\n")
running.stdin.close()
sys.stdout.write(running.stdout.read())
sys.stdout.flush()
sys.exit(running.wait())
