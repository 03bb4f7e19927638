"""One supply on a line: typed access to its registers, refusals and unreadable words as errors."""

from bosd.drivers.line import RequestLine
from bosd.drivers.rd6006 import registers
from bosd.drivers.rd6006.codec import EXCEPTIONS, Request, Status, decode_status, read_request, write_request
from bosd.drivers.rd6006.registers import IDENTITY, LONGEST_READ, STATUS, Model, model_of
from bosd.errors import BosError, DriverError


class Supply:
    """The supply at `address` on `line`.

    Every method raises UnavailableError without an answer and DriverError for nonsense or a refusal (its number in
    `metadata["exception"]`). `model` is known once `identify` found it, until a request fails: another supply may be there then.
    `identified` counts how often it was asked, `identity` are names and texts of what it said last.
    """

    def __init__(self, line: RequestLine, address: int) -> None:
        self.line = line
        self.model: Model | None = None
        self.identified = 0
        self.identity: tuple[tuple[str, str], ...] = ()
        self._address = address
        self._count = len(STATUS)

    async def identify(self) -> Model:
        """Read what it is. Raises DriverError for a model whose scales are not known."""
        word, high, low, firmware = await self._ask(read_request(self._address, IDENTITY.start, len(IDENTITY)))
        self.model = model_of(word)
        if self.model is None:
            message = f"{self.line.port}: {word} (serial {high << 16 | low}, firmware {firmware / 100:.2f}) is no known RD60xx"
            raise DriverError(f"{message}; its scales would be guesses", port=self.line.port, model=word)
        self.identified += 1
        self.identity = (
            ("model", self.model.name),
            ("serial number", f"{high << 16 | low:08d}"),
            ("firmware", f"{firmware / 100:.2f}"),
        )
        return self.model

    async def known(self) -> Model:
        """Return the model, read where it is not known."""
        return self.model or await self.identify()

    async def status(self, *, urgent: bool = False) -> Status:
        """Read what it does now.

        Each reading asks for another number of words than the five before: a late reply to one of those does not pass for it.
        """
        model = await self.known()
        self._count = self._count + 1 if self._count < LONGEST_READ else len(STATUS)
        words = await self._ask(read_request(self._address, STATUS.start, self._count), urgent=urgent)
        try:
            return decode_status(words, model)
        except DriverError as error:
            self.line.counters["payload"] += 1
            error.also(f"at {self.line.port}", port=self.line.port)
            raise

    async def protections(self) -> tuple[float, float]:
        """Return the voltage and current above which it switches itself off, in V and A."""
        model = await self.known()
        voltage, current = await self._ask(read_request(self._address, registers.OVP, 2))
        return voltage * model.voltage_scale_v, current * model.current_scale_a

    async def boots_on(self) -> bool:
        """Return whether its output comes back on after a loss of power."""
        (word,) = await self._ask(read_request(self._address, registers.BOOT_OUTPUT, 1))
        return word != 0

    async def switch(self, *, on: bool) -> None:
        """Switch the output, off before all that waits for the line; needs no knowledge of the model."""
        await self._ask(write_request(self._address, registers.OUTPUT, int(on)), urgent=not on)

    async def clear_current(self) -> None:
        """Set the current to nothing; needs no knowledge of the model."""
        await self._ask(write_request(self._address, registers.SET_CURRENT, 0), urgent=True)

    async def write_voltage(self, register: int, voltage_v: float) -> None:
        """Write a voltage, never above `voltage_v`."""
        model = await self.known()
        await self._ask(write_request(self._address, register, floor_count(voltage_v, model.voltage_scale_v)))

    async def write_current(self, register: int, current_a: float) -> None:
        """Write a current, never above `current_a`."""
        model = await self.known()
        await self._ask(write_request(self._address, register, floor_count(current_a, model.current_scale_a)))

    async def _ask(self, request: Request, *, urgent: bool = False) -> tuple[int, ...]:
        try:
            answer = await self.line.transact(request.frame, request.reader, request.reader.reply_bytes, urgent=urgent)
        except BosError:
            self.model = None
            raise
        if answer.exception:
            self.line.counters["exceptions"] += 1
            meaning = EXCEPTIONS.get(answer.exception, "no known exception")
            message = f"{self.line.port}: {request.what} refused with {answer.exception}: {meaning}"
            raise DriverError(message, port=self.line.port, exception=answer.exception)
        return answer.words


def floor_count(value: float, scale: float) -> int:
    """Return the largest word worth at most `value`; what lies within a millionth of a count below the next one is that one."""
    return int(value / scale + 1e-6)
