"""What may go wrong with a peer; each message is one sentence for the person who measures."""


class PeerFailed(Exception):
    """The peer failed, or did not finish within its time: it has no figure."""


class PeerUnavailable(PeerFailed):
    """The peer cannot be had on this machine."""


class LostOrDoubled(PeerFailed):
    """A job never ran, ran twice or is still there after the run: a figure would be of no worth."""
