"""Pickles that look like something else: a program of protocol 0 or 1 can be valid UTF-8, or valid safetensors.

A file is read as the unpickler would read it, from its first byte, opcode by opcode, with the depth of the stack. It is
a pickle if, before the first byte that the unpickler would stumble over,

- once a global is named, something is called or changed (REDUCE, INST, OBJ, NEWOBJ, NEWOBJ_EX, BUILD, APPEND, APPENDS,
  SETITEM, SETITEMS, ADDITEMS), or the program comes to its STOP, or
- every byte, up to white space at the end, belongs to programs in the opcodes of protocol 0 that come to their STOP.

A global counts only if its module and name are dotted identifiers, so that prose that begins with ``c`` is prose; a
line of an opcode that takes a number or a quoted text has to hold one. JSON never is a pickle: no opcode that can come
first begins a JSON value. A text stops at PERSID, which the unpickler refuses unless a program has taught it more.
"""

from __future__ import annotations

import pickletools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_OPCODES = 200_000
"""A file that begins with this many opcodes is a pickle, whatever comes after them."""
LONGEST_LINE = 2**26
"""How many bytes of a line are looked at; a longer one, which no text file can have, is taken for a right one."""

_OPCODES = {ord(opcode.code): opcode for opcode in pickletools.opcodes}
_NAMES = {"GLOBAL", "INST"}
_HIDDEN_NAMES = {"EXT1", "EXT2", "EXT4", "STACK_GLOBAL"}
_CALLS = {
    *("BUILD", "INST", "NEWOBJ", "NEWOBJ_EX", "OBJ", "REDUCE"),
    *("ADDITEMS", "APPEND", "APPENDS", "SETITEM", "SETITEMS"),
}
_IDENTIFIERS = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_INTEGER = re.compile(rb"\s*[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*)L?\s*(?:\0.*)?", re.DOTALL)
_FLOAT = re.compile(
    rb"\s*[+-]?(?:[0-9_]+(?:\.[0-9_]*)?(?:e[+-]?[0-9_]+)?|\.[0-9_]+(?:e[+-]?[0-9_]+)?|inf|infinity|nan)"
    rb"\s*(?:\0.*)?",
    re.DOTALL | re.IGNORECASE,
)
_QUOTED = re.compile(rb"([\"']).*\1\s*", re.DOTALL)
_LINES = {"INT": _INTEGER, "LONG": _INTEGER, "GET": _INTEGER, "PUT": _INTEGER, "FLOAT": _FLOAT, "STRING": _QUOTED}
"""What a line must be for the unpickler not to raise, in the widest reading of any unpickler."""
_LENGTH_BYTES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}


class Unpickling:
    """Follows a file as the unpickler would, in pieces of any size, of which it keeps no more than a line."""

    def __init__(self) -> None:
        self._found: bool | None = None
        self._take: Callable[[bytes, int], int] = self._begin  # what the next byte is for
        self._program, self._opcodes = _Program(), 0
        self._is_plain = True
        self._is_persistent = False  # a PERSID came
        self._is_between = False  # a program has come to its STOP, and no other has begun
        self._opcode: pickletools.OpcodeInfo | None = None
        self._kept = bytearray()  # of the opcode's argument
        self._left = 0  # bytes or lines of it

    def feed(self, chunk: bytes | memoryview) -> None:
        """The next bytes of the file."""
        if self._found is None:
            data, position = bytes(chunk), 0
            while position < len(data) and self._found is None:
                position = self._take(data, position)

    def finish(self, *, text: bool) -> bool:
        """Whether the unpickler would run the file, as the module's docstring defines it.

        Of what is known to be no ``text``, programs of data may have the opcodes of any protocol.
        """
        if text and self._is_persistent:
            return False
        if self._found is None:
            return self._is_between and (self._is_plain or not text)
        return self._found

    def _begin(self, data: bytes, position: int) -> int:
        """An opcode, or the white space after the last program."""
        if self._is_between and data[position : position + 1].isspace():
            self._take = self._end_file
            return position
        opcode = self._opcode = _OPCODES.get(data[position])
        self._is_between = False
        self._opcodes += 1
        self._kept.clear()
        if opcode is None or self._opcodes > MOST_OPCODES:
            self._found = opcode is not None
        elif opcode.arg is None:
            self._end_opcode()
        elif opcode.arg.n == pickletools.UP_TO_NEWLINE:
            self._left, self._take = 2 if opcode.name in _NAMES else 1, self._lines
        elif opcode.arg.n in _LENGTH_BYTES:
            self._left, self._take = _LENGTH_BYTES[opcode.arg.n], self._length
        else:
            self._skip_bytes(opcode.arg.n)
        return position + 1

    def _lines(self, data: bytes, position: int) -> int:
        end = data.find(b"\n", position) + 1
        is_judged = self._opcode is not None and (self._opcode.name in _NAMES or self._opcode.name in _LINES)
        if is_judged and len(self._kept) <= LONGEST_LINE:
            self._kept += data[position : end or len(data)]
        self._left -= end > 0
        if not self._left:
            self._end_opcode()
        return end or len(data)

    def _length(self, data: bytes, position: int) -> int:
        piece = data[position : position + self._left]
        self._kept += piece
        self._left -= len(piece)
        if not self._left:
            self._skip_bytes(int.from_bytes(self._kept, "little"))
        return position + len(piece)

    def _skip_bytes(self, count: int) -> None:
        self._left, self._take = count, self._skip
        if not count:
            self._end_opcode()

    def _skip(self, data: bytes, position: int) -> int:
        step = min(self._left, len(data) - position)
        self._left -= step
        if not self._left:
            self._end_opcode()
        return position + step

    def _end_opcode(self) -> None:
        self._take = self._begin
        opcode, program = self._opcode, self._program
        if opcode is None or not program.follow(opcode, bytes(self._kept)):
            self._found = False
            return
        self._is_plain = self._is_plain and opcode.proto == 0
        self._is_persistent = self._is_persistent or opcode.name == "PERSID"
        if program.named and (program.called or program.stopped):
            self._found = True
        elif program.stopped:
            self._is_between, self._program = True, _Program()

    def _end_file(self, data: bytes, position: int) -> int:
        if data[position:].strip():
            self._found = False
        return len(data)


@dataclass
class _Program:
    """What running a program has come to: the stack's depth above each mark, and whether a global was named."""

    named: bool = False
    called: bool = False
    stopped: bool = False
    depths: list[int] = field(default_factory=lambda: [0])

    def follow(self, opcode: pickletools.OpcodeInfo, argument: bytes) -> bool:
        """Do what the opcode does; False where the unpickler would raise, or names what nobody has."""
        if not _is_right(opcode.name, argument):
            return False
        self.named |= opcode.name in _NAMES or opcode.name in _HIDDEN_NAMES
        self.called |= self.named and opcode.name in _CALLS
        self.stopped = opcode.name == "STOP"
        return self._move(opcode)

    def _move(self, opcode: pickletools.OpcodeInfo) -> bool:
        """Take from the stack and put onto it."""
        needs, gives, mark = opcode.stack_before, opcode.stack_after, pickletools.markobject
        marked = len(self.depths) > 1
        if mark in needs or (opcode.name == "POP" and marked and not self.depths[-1]):  # POP takes a mark as well
            if not marked:
                return False
            self.depths.pop()
            needs = needs[: needs.index(mark)] if mark in needs else []
        if len(needs) > self.depths[-1]:
            return False
        self.depths[-1] -= len(needs)
        if gives == [mark]:
            self.depths.append(0)
        else:
            self.depths[-1] += len(gives)
        return True


def _is_right(opcode: str, argument: bytes) -> bool:
    """Whether the unpickler takes the lines of this opcode."""
    if len(argument) > LONGEST_LINE or opcode not in {*_NAMES, *_LINES}:
        return True
    return _is_global(argument) if opcode in _NAMES else bool(_LINES[opcode].fullmatch(argument[:-1]))


def _is_global(argument: bytes) -> bool:
    try:
        module, name = argument.decode().splitlines()
    except ValueError:
        return False
    return bool(_IDENTIFIERS.fullmatch(module) and _IDENTIFIERS.fullmatch(name))
