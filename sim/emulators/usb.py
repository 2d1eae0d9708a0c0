"""An emulated USB with readers on it: what stands in for libusb's context, below all of nfcpy's own code.

Errors, constants and the order of calls are libusb's. A reader that is plugged in again has a new address, as on a real
bus; what was taken and not given back is counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from random import Random
from types import TracebackType
from typing import Final, Protocol, Self

from nfc.clf.transport import libusb

PACKET_BYTES: Final = 64
"""A full-speed bulk endpoint's."""
OUT: Final = 0x02
IN: Final = 0x82


class Device(Protocol):
    """A reader behind its two bulk endpoints."""

    vendor: int
    product: int
    maker: str
    name: str

    def take(self, octets: bytes) -> Iterator[tuple[float, bytes]]:
        """What it says to a transfer: after how many ms, and which transfer."""

    def cancels(self, octets: bytes) -> bool:
        """Whether this transfer takes back what it is about to say."""

    def powered(self) -> None:
        """It was plugged in."""


class UsbBus:
    """The bus; its methods may be called from any thread. `open_contexts`, `open_handles`: what isn't given back.

    `lag_ms`: each transfer from a device comes later by up to so long, as behind a hub of other devices.
    """

    def __init__(self) -> None:
        """Nothing is plugged in."""
        self.changed = threading.Condition()
        self.places: dict[int, Device] = {}
        self.taken: dict[int, object] = {}
        self.forbidden: set[int] = set()
        self.said: dict[int, deque[tuple[float, bytes]]] = {}
        self.open_contexts = self.open_handles = 0
        self.lag_ms = 0.0
        self.rng = Random(0)
        self._address = 0

    def plug(self, device: Device) -> None:
        """Plug a reader in, under an address that no device had before."""
        with self.changed:
            self._address += 1
            self.places[self._address] = device
            self.said[id(device)] = deque()
            device.powered()

    def unplug(self, device: Device) -> None:
        """Pull it out."""
        with self.changed:
            self.places = {at: other for at, other in self.places.items() if other is not device}
            self.taken.pop(id(device), None)
            self.changed.notify_all()

    def hold(self, device: Device) -> None:
        """Another program, or the kernel, claims it."""
        self.taken[id(device)] = self

    def forbid(self, device: Device) -> None:
        """This user may not open it."""
        self.forbidden.add(id(device))

    def context(self) -> Context:
        """Stands in for usb1.USBContext."""
        return Context(self)


class Context:
    """A usb1.USBContext of this bus."""

    def __init__(self, bus: UsbBus) -> None:
        """Open, as nfcpy takes it."""
        self._bus, self._open = bus, True
        bus.open_contexts += 1

    def getDeviceList(self, *, skip_on_error: bool = False) -> list[Place]:
        """Every device on the bus."""
        assert skip_on_error
        with self._bus.changed:
            return [Place(self._bus, address, device) for address, device in self._bus.places.items()]

    def exit(self) -> None:
        """Give it back."""
        if self._open:
            self._open = False
            self._bus.open_contexts -= 1

    def __enter__(self) -> Self:
        """For a block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        self.exit()


class Endpoint:
    """A bulk endpoint."""

    def __init__(self, address: int) -> None:
        """IN or OUT."""
        self._address = address

    def getAddress(self) -> int:
        """Its address."""
        return self._address

    def getAttributes(self) -> int:
        """Bulk."""
        return int(libusb.TRANSFER_TYPE_BULK)

    def getMaxPacketSize(self) -> int:
        """Of full speed."""
        return PACKET_BYTES


class Place:
    """A usb1.USBDevice: a device at its address."""

    def __init__(self, bus: UsbBus, address: int, device: Device) -> None:
        """As it was listed."""
        self._bus, self._address, self._device = bus, address, device

    def getVendorID(self) -> int:
        """Its maker's number."""
        return self._device.vendor

    def getProductID(self) -> int:
        """Its make's number."""
        return self._device.product

    def getBusNumber(self) -> int:
        """There is one bus."""
        return 1

    def getDeviceAddress(self) -> int:
        """Where it is until it is pulled out."""
        return self._address

    def getManufacturer(self) -> str:
        """Its maker."""
        return self._device.maker

    def getProduct(self) -> str:
        """Its name."""
        return self._device.name

    def iterSettings(self) -> Iterator[Place]:
        """One setting, which is this."""
        return iter((self,))

    def iterEndpoints(self) -> Iterator[Endpoint]:
        """Out and in."""
        return iter((Endpoint(OUT), Endpoint(IN)))

    def open(self) -> Handle:
        """Open it."""
        if id(self._device) in self._bus.forbidden:
            raise libusb.USBErrorAccess
        return Handle(self._bus, self._address, self._device)


class Handle:
    """A usb1.USBDeviceHandle."""

    def __init__(self, bus: UsbBus, address: int, device: Device) -> None:
        """Open, its interface not claimed yet."""
        self._bus, self._address, self._device, self._open = bus, address, device, True
        # What a device has to say it keeps when whoever asked has died.
        self._said = bus.said[id(device)]
        bus.open_handles += 1

    def claimInterface(self, number: int) -> None:
        """Have it alone."""
        assert number == 0
        with self._bus.changed:
            self._there()
            if self._bus.taken.get(id(self._device), self) is not self:
                raise libusb.USBErrorBusy
            self._bus.taken[id(self._device)] = self

    def bulkWrite(self, endpoint: int, octets: bytes, timeout: int) -> int:
        """A transfer to the device."""
        assert endpoint == OUT and timeout > 0, "a wait without end"
        with self._bus.changed:
            self._there()
            if self._device.cancels(octets):
                self._said.clear()
            if octets:
                # The device does one thing after the other.
                free_s = max(time.monotonic(), self._said[-1][0] if self._said else 0.0)
                for delay_ms, answer in self._device.take(octets):
                    free_s += (delay_ms + self._bus.rng.uniform(0.0, self._bus.lag_ms)) / 1000
                    self._said.append((free_s, answer))
        return len(octets)

    def bulkRead(self, endpoint: int, length: int, timeout: int) -> bytes:
        """A transfer from the device, of at most `length` bytes, within `timeout` ms."""
        assert endpoint == IN and timeout > 0, "a wait without end"
        deadline_s = time.monotonic() + timeout / 1000
        with self._bus.changed:
            while True:
                self._there()
                now_s = time.monotonic()
                if self._said and self._said[0][0] <= now_s:
                    return self._said.popleft()[1][:length]
                if now_s >= deadline_s:
                    raise libusb.USBErrorTimeout
                self._bus.changed.wait(min(deadline_s, self._said[0][0] if self._said else deadline_s) - now_s)

    def close(self) -> None:
        """Give it back, and with it the interface."""
        if self._open:
            self._open = False
            self._bus.open_handles -= 1
            with self._bus.changed:
                if self._bus.taken.get(id(self._device)) is self:
                    del self._bus.taken[id(self._device)]

    def _there(self) -> None:
        if self._bus.places.get(self._address) is not self._device:
            raise libusb.USBErrorNoDevice
