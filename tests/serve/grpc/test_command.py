"""`steelyard serve --grpc-port` as its users call it."""

import os
import re
import signal
import socket
import subprocess
import sys

import grpc

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def command(*words):
    return [sys.executable, "-m", "steelyard.cli", "serve", *map(str, words)]


def test_it_answers_at_both_ports_refuses_a_taken_one_and_stops_in_order(folders):
    words = [folders["numbers"], "--no-keys", "--port", 0, "--grpc-port"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(*words, 0), text=True, env=ENVIRONMENT, **pipes) as first:
        address = re.search(r"gRPC at (127\.0\.0\.1:\d+)", first.stdout.readline())[1]
        with grpc.insecure_channel(address) as channel:
            live = channel.unary_unary("/inference.GRPCInferenceService/ServerLive")
            assert live(b"", timeout=20) == b"\x08\x01"
        second = subprocess.run(
            command(*words, address.rpartition(":")[2]),
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            timeout=60,
            check=False,
        )
        assert (second.returncode, second.stdout) == (50, "")
        assert re.fullmatch(rf"steelyard: cannot listen at {address}: .*; name another .*--grpc-port\n", second.stderr)
        with socket.create_connection(address.split(":")) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            stranger.settimeout(20)
            stranger.recv(100)
        first.send_signal(signal.SIGTERM)
        assert first.wait(20) == 0
        assert first.stderr.read() == "", "what strangers send is counted, not logged"
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        host, _, port = address.partition(":")
        free.bind((host, int(port)))
