"""Pickles that look like something else: a program of protocol 0 or 1 can be valid UTF-8, or valid safetensors.

A file is read as the unpickler would read it, from its first byte, opcode by opcode, with the depth of the stack. It is
a pickle if, before the first byte that the unpickler would stumble over,

- a global is called (REDUCE, INST, OBJ, NEWOBJ, NEWOBJ_EX, BUILD), or a program that names one comes to its STOP, or
- every byte, up to white space at the end, belongs to programs in the opcodes of protocol 0 that come to their STOP.

A global counts only if its module and name are dotted identifiers, so that prose that begins with ``c`` is prose. JSON
never is a pickle: no opcode that can come first begins a JSON value.
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
LONGEST_NAME = 2**26
"""The most bytes that a global's module and name may have; what has more of them is no name."""

_OPCODES = {ord(opcode.code): opcode for opcode in pickletools.opcodes}
_NAMES = {"GLOBAL", "INST"}
_HIDDEN_NAMES = {"EXT1", "EXT2", "EXT4", "STACK_GLOBAL"}
_CALLS = {"BUILD", "INST", "NEWOBJ", "NEWOBJ_EX", "OBJ", "REDUCE"}
_IDENTIFIERS = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_LENGTH_BYTES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}


class Unpickling:
    """Follows a file as the unpickler would, in pieces of any size, of which it keeps no more than a global's name."""

    def __init__(self) -> None:
        self._found: bool | None = None
        self._take: Callable[[bytes, int], int] = self._begin  # what the next byte is for
        self._program, self._opcodes = _Program(), 0
        self._is_plain = True
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
        """What a line says is judged of names alone: the unpickler reads numbers in more spellings than pickletools."""
        end = data.find(b"\n", position) + 1
        if self._opcode and self._opcode.name in _NAMES and len(self._kept) <= LONGEST_NAME:
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
        if opcode.name in _NAMES and not _is_global(argument):
            return False
        self.named |= opcode.name in _NAMES or opcode.name in _HIDDEN_NAMES
        self.called |= opcode.name in _CALLS
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


def _is_global(argument: bytes) -> bool:
    try:
        module, name = argument.decode().splitlines()
    except ValueError:
        return False
    return bool(_IDENTIFIERS.fullmatch(module) and _IDENTIFIERS.fullmatch(name))
