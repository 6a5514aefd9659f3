"""Sends many packets at once.

Each send() of Python's lets the other threads have the interpreter, and gets it back when one of them gives it up: with
the threads that claim and record at work, that costs more than all else that a supervisor does for a short job. So a
batch goes out in one system call, sendmmsg(2), through a handle that keeps the interpreter: the sockets never wait.
"""

import ctypes
import os
import socket
import sys
from array import array
from collections.abc import Sequence
from itertools import accumulate

MOST = 128
"""Packets of one system call."""


class IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class MsgHdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(IoVec)),
        ("vectors_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class MMsgHdr(ctypes.Structure):
    _fields_ = (("header", MsgHdr), ("sent", ctypes.c_uint))


class Sender:
    """Its memory is used again for every batch: one thread at a time."""

    def __init__(self) -> None:
        self._sendmmsg = None
        if sys.platform == "linux" and ctypes.sizeof(ctypes.c_size_t) == 8:
            self._sendmmsg = ctypes.PyDLL(None, use_errno=True).sendmmsg
        self._vectors = (IoVec * MOST)()
        self._places = memoryview(self._vectors).cast("B").cast("Q")  # address and length, in turns
        self._headers = (MMsgHdr * MOST)()
        for index, header in enumerate(self._headers):
            header.header.vectors = ctypes.pointer(self._vectors[index])
            header.header.vectors_length = 1

    def send(self, to: socket.socket, packets: Sequence[bytes]) -> int:
        """Sends as many packets as there is room for, and returns how many; `to` must not block.

        Raises OSError where not even the first can be sent and room is not what is missing.
        """
        if self._sendmmsg is None or len(packets) == 1:
            return send_singly(to, packets)
        sent = 0
        while sent < len(packets):
            batch = packets[sent : sent + MOST]
            now = self._send_batch(to, batch)
            sent += now
            if now < len(batch):
                break
        return sent

    def _send_batch(self, to: socket.socket, packets: Sequence[bytes]) -> int:
        assert self._sendmmsg is not None
        lengths = [len(packet) for packet in packets]
        joined = b"".join(packets)
        start = ctypes.cast(ctypes.c_char_p(joined), ctypes.c_void_p).value
        assert start is not None
        places = [0] * (2 * len(packets))
        places[0::2] = list(accumulate(lengths[:-1], initial=start))
        places[1::2] = lengths
        self._places[: len(places)] = array("Q", places)
        sent: int = self._sendmmsg(to.fileno(), self._headers, len(packets), socket.MSG_DONTWAIT)
        if sent >= 0:
            return sent
        error = ctypes.get_errno()
        if isinstance(OSError(error, ""), BlockingIOError | InterruptedError):
            return 0
        raise OSError(error, os.strerror(error))


def send_singly(to: socket.socket, packets: Sequence[bytes]) -> int:
    for sent, packet in enumerate(packets):
        try:
            to.send(packet)
        except (BlockingIOError, InterruptedError):
            return sent
        except OSError:
            if sent == 0:
                raise
            return sent
    return len(packets)
