"""C under construction: tables, buffers on the stack, and statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from steelyard.export.c.names import real

Array = NDArray[np.generic]
At = Callable[[str], str]
"""The C expression of an element, given that of its place."""

C_TYPES = {
    "float32": "float",
    "float64": "@number",
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "uint8": "uint8_t",
    "uint16": "uint16_t",
    "uint32": "uint32_t",
    "uint64": "uint64_t",
    "bool": "uint8_t",
}
"""``@number`` stands for what the user's rows hold: double, or float where that was chosen when compiling."""
_WIDE = 112


def least(values: Array) -> Array:
    """Return whole numbers in the smallest type that holds them.

    Examples
    --------
    >>> least(np.array([0, 255])).dtype, least(np.array([-1, 200])).dtype
    (dtype('uint8'), dtype('int16'))
    """
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for kind in (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return values.astype(kind)
    raise AssertionError("no 64 bits hold these numbers")


def literal(value: np.generic) -> str:
    """Return one number as C writes it."""
    kind = value.dtype
    if kind.kind == "f":
        return f"(@number){real(float(value), double=True)}" if kind == np.float64 else real(float(value))
    whole = int(value)
    if kind == np.uint64:
        return f"UINT64_C({whole})"
    if kind == np.int64 and not -(2**31) < whole < 2**31:
        return f"INT64_C({whole})" if whole != -(2**63) else "(-INT64_C(9223372036854775807) - 1)"
    return str(whole) if whole >= 0 else f"({whole})"


@dataclass(slots=True)
class Code:
    """What a function is made of.

    Attributes
    ----------
    tables
        Constant arrays by name: type, numbers.
    stack
        Bytes of local arrays, at the largest size of their types.
    """

    prefix: str = "steelyard"
    fields: tuple[str, ...] = ()
    """Category columns in the order of their codes in a row."""
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of each category column the values that have a code, from 1 on."""
    categories: dict[str, set[str]] = field(default_factory=dict)
    """Of each category column the values that look-ups have asked for."""
    tables: dict[str, tuple[str, Array]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    stack: int = 0
    helpers: set[str] = field(default_factory=set)
    _known: dict[tuple[str, bytes], str] = field(default_factory=dict)
    _depth: int = 1
    _count: int = 0

    def fresh(self, stem: str) -> str:
        """Return a name that is not used yet."""
        self._count += 1
        return f"{stem}{self._count}"

    def add(self, line: str) -> None:
        """Append a statement."""
        self.lines.append("    " * self._depth + line)

    def table(self, values: Array, stem: str = "table") -> str:
        """Store numbers, in the type they have; equal ones once. Return the name of the array."""
        flat = np.ascontiguousarray(values).ravel()
        key = (flat.dtype.name, flat.tobytes())
        if key not in self._known:
            self._known[key] = f"{self.prefix}_{self.fresh(stem)}"
            self.tables[self._known[key]] = (C_TYPES[flat.dtype.name], flat)
        return self._known[key]

    def buffer(self, kind: str, size: int, stem: str = "t") -> str:
        """Declare a local array; return its name."""
        name = self.fresh(stem)
        self.stack += size * (8 if kind == "@number" else int(np.dtype(_numpy(kind)).itemsize))
        self.add(f"{kind} {name}[{size}];")
        return name

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Indent statements under a head."""
        self.add(f"{head} {{")
        self._depth += 1
        yield
        self._depth -= 1
        self.add("}")

    @contextmanager
    def loop(self, size: int | str) -> Iterator[str]:
        """Repeat statements; yield the name of the counter, or ``0`` where there is one turn."""
        if size == 1:
            yield "0"
            return
        name = self.fresh("i")
        with self.block(f"for (int32_t {name} = 0; {name} < {size}; {name}++)"):
            yield name

    def index(self, places: NDArray[np.int64], at: str) -> str:
        """Return the expression of an element of constant places."""
        first = int(places[0]) if places.size else 0
        size = len(places)
        if at == "0" or bool((places == first).all()):
            return str(first)
        if np.array_equal(places, np.arange(size) + first):
            return at if first == 0 else f"({at} + {first})"
        for step in range(2, size):
            if first == 0 and int(places[step]) == 1:  # each one repeated
                if np.array_equal(places, np.arange(size) // step):
                    return f"({at} / {step})"
                break
            if int(places[step]) == first and int(places[1]) == first + 1:  # all of them repeated
                if first == 0 and np.array_equal(places, np.arange(size) % step):
                    return f"({at} % {step})"
                break
        return f"{self.table(least(places))}[{at}]"

    def constant(self, values: Array, at: str, stem: str = "table") -> str:
        """Return the expression of an element of a constant array."""
        flat = values.ravel()
        if at == "0" or (flat == flat[0]).all():
            return literal(flat[0])
        return self.look(flat, at, stem)

    def look(self, values: Array, at: str, stem: str = "table") -> str:
        """Return the expression of an element of a stored array; floats that are whole are stored as whole numbers."""
        is_whole = values.dtype == np.float32 and bool((np.abs(values) <= 2**15 - 1).all() and (values % 1 == 0).all())
        if is_whole and not np.signbit(values[values == 0]).any():
            return f"(float){self.table(least(values.astype(np.int64)), stem)}[{at}]"
        return f"{self.table(values, stem)}[{at}]"

    @property
    def size(self) -> int:
        """Bytes of all tables."""
        return sum(int(values.nbytes) for _, values in self.tables.values())


def _numpy(kind: str) -> str:
    return {"float": "float32"}.get(kind, kind.removesuffix("_t"))


def array(kind: str, name: str, values: Array) -> str:
    r"""Return the definition of a constant array.

    Examples
    --------
    >>> array("int8_t", "a", np.array([1, -2], np.int8))
    'static const int8_t a[2] = {\n1,-2\n};\n'
    """
    words = [
        word.strip("()") if values.dtype.kind == "i" and values.dtype != np.int64 else word
        for word in (literal(value) for value in values)
    ]
    if values.dtype == np.float64:
        words = [word.removeprefix("(@number)") for word in words]
    lines, line = [], ""
    for word in words:
        if len(line) + len(word) > _WIDE:
            lines.append(line)
            line = ""
        line += f"{word},"
    lines.append(line.rstrip(","))
    return f"static const {kind} {name}[{values.size}] = {{\n" + "\n".join(lines) + "\n};\n"
