"""A battery's own account with the outside: for whatever is no partition and not split (bal.md, "The meter")."""

from bosd.bal.battery import Battery
from bosd.bal.ledger import REPLACED, Book
from bosd.bal.status import BatteryStatus


class Tally:
    """What flowed in and out of a battery, from the changes of its meter; net between two calls of `settle`."""

    __slots__ = ("_applied_a", "_battery", "_charge_ah", "_rebased", "book", "name")

    def __init__(self, battery: Battery) -> None:
        self.name = battery.name
        self.book = Book()
        self._battery = battery
        self._charge_ah: float | None = None
        self._applied_a = 0.0
        self._rebased = False

    @property
    def stepped(self) -> bool:
        """Whether it is free and its set point another one than when it was last settled."""
        return self._applied_a != self._battery.applied_a and self._battery.user is None

    def settle(self, at_s: float, status: BatteryStatus, *, of: Battery) -> None:
        """Add what flowed up to `at_s`; `of` is who the status is of."""
        charge_ah = status.expected_ah(at_s)
        self._applied_a = (self._battery if charge_ah is None else of).applied_a
        if charge_ah is None:
            return
        before_ah, self._charge_ah = self._charge_ah, charge_ah
        if before_ah is None:
            self.book.begin(at_s, status.voltage_v)
        elif of is not self._battery or self._rebased:
            self.book.moved(REPLACED, [self.name], [charge_ah - before_ah], at_s, status.voltage_v)
        else:
            self.book.flow([(self.name, before_ah - charge_ah)], at_s, status.voltage_v)
        self._battery, self._rebased = of, False

    def rebased(self) -> None:
        """Take the next change of the meter as one of a reset."""
        self._rebased = True
