"""Hosts that are really apart: Linux network namespaces, with a cable to one switch."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from tests.dask_processes import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

RANGE = IPv4Network("198.18.0.0/15")  # RFC 2544: for tests of networks, routed nowhere
PREFIX = 27
JANITOR = """
cat > /dev/null
for one in $(ip netns list | cut -d ' ' -f 1 | grep "^$1-"); do
    ip netns pids "$one" | xargs -r kill -9
    ip netns delete "$one"
done
"""


class Network:
    """Hosts on a switch that this process is connected to as well.

    Attributes
    ----------
    places : the hosts, in the order in which they were added
    """

    def __init__(self, name: str) -> None:
        subnets = 1 << (PREFIX - RANGE.prefixlen)
        size = 1 << (32 - PREFIX)
        start = RANGE[secrets.randbelow(subnets) * size]
        self._addresses = IPv4Network(f"{start}/{PREFIX}").hosts()
        self._name, self._switch = name, f"{name}-switch"
        self.places: list[Place] = []
        self._ports: dict[str, str] = {}

    def open(self) -> None:
        """Make the switch, and connect this process to it."""
        _add_namespace(self._switch)
        _at(self._switch, "link", "add", "bridge", "type", "bridge")
        _at(self._switch, "link", "set", "bridge", "up")
        address = self._connect(str(os.getpid()), self._name)
        run("ip", "address", "add", f"{address}/{PREFIX}", "dev", self._name)
        run("ip", "link", "set", self._name, "up")

    def place(self) -> Place:
        """Add a host; processes are started there."""
        namespace = f"{self._name}-{len(self.places)}"
        _add_namespace(namespace)
        address = self._connect(namespace, "eth0")
        _at(namespace, "address", "add", f"{address}/{PREFIX}", "dev", "eth0")
        _at(namespace, "link", "set", "eth0", "up")
        place = Place(("ip", "netns", "exec", namespace), address)
        self.places.append(place)
        return place

    def cut(self, place: Place) -> None:
        """Take the network from a host, which is told nothing and goes on running."""
        _at(self._switch, "link", "set", self._ports[place.address], "down")

    def _connect(self, owner: str, device: str) -> str:
        """Lay a cable from the switch to a new device; return its address to be."""
        port, address = f"port{len(self._ports)}", str(next(self._addresses))
        ends = ("link", "add", port, "type", "veth", "peer", "name", device)
        _at(self._switch, *ends, "netns", owner)
        _at(self._switch, "link", "set", port, "master", "bridge", "up")
        self._ports[address] = port
        return address


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """Open a network; all of it is gone in the end, this process's cable too.

    A process that outlives this one, even where it is killed, sees its input end, and
    removes the hosts with all that runs there.
    """
    name = f"rafm{secrets.token_hex(3)}"
    words = ("sh", "-c", JANITOR, "janitor", name)
    with subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True):
        made = Network(name)
        made.open()
        yield made


def missing() -> str:
    """Say why no network can be made here; nothing where one can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need `ip` of iproute2"
    try:
        with network() as made:
            made.place()
    except ChildProcessError as error:
        return f"network namespaces do not work here: {error}"
    return ""


def _add_namespace(namespace: str) -> None:
    run("ip", "netns", "add", namespace)
    _at(namespace, "link", "set", "lo", "up")


def _at(namespace: str, *words: str) -> None:
    run("ip", "-n", namespace, *words)


def run(*command: str) -> None:
    """Run a command; ChildProcessError with what it printed where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ChildProcessError(f"{' '.join(command)}: {done.stderr.strip()}")
