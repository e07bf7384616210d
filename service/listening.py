"""Whether the service can listen where it is told to: seen before it starts anything, since it listens last."""

import errno
import socket


def listening_fault(host: str, port: int) -> str | None:
    """What keeps a server from listening on a port, and what to do about it; None if nothing does."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        return f"{host!r} is no address of this machine: {getattr(error, 'strerror', None) or error}"
    faults = [fault for family, _, _, _, address in addresses if (fault := _fault(family, address))]
    if any(fault.errno == errno.EADDRINUSE for fault in faults):
        return f"port {port} of {host} is taken: choose another with --port, or end what listens there"
    if len(faults) == len(addresses):  # a name may have an address of a family that this machine has not turned on
        return f"nothing can listen on port {port} of {host}: {faults[0].strerror}"
    return None


def _fault(family: int, address: tuple[str | int | bytes, ...]) -> OSError | None:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server will
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None
