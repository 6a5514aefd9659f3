"""Other job systems on PostgreSQL, measured as jobq is: each in an environment of its own, at its best documented
settings, and with every run counted."""

from benchmarks.peers.peer import LostOrDoubled, Peer, PeerFailed, PeerUnavailable
from benchmarks.peers.systems import SYSTEMS

PEERS: dict[str, type[Peer]] = {system.name: system for system in SYSTEMS}

__all__ = ["PEERS", "LostOrDoubled", "Peer", "PeerFailed", "PeerUnavailable"]
