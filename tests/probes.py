"""What a platform does with a worker: asks its probes, and reads its metrics."""

import socket
from pathlib import Path


def get(address: Path, page: str) -> tuple[int, str]:
    """What a worker answers at its socket: status and text. Nothing (0) while it does not listen."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        try:
            connection.connect(str(address))
        except OSError as error:
            return 0, str(error)
        connection.sendall(f"GET {page} HTTP/1.1\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    head, _, text = answer.partition("\r\n\r\n")
    return int(head.split()[1]), text


def sample_of(text: str, name: str, **labels: str) -> float | None:
    """The value of one line of Prometheus' text."""
    for line in text.splitlines():
        found, _, value = line.rpartition(" ")
        if found.partition("{")[0] == name and all(f'{key}="{label}"' in found for key, label in labels.items()):
            return float(value)
    return None
