"""Pickles that look like text: protocols 0 and 1 write letters and lines, so such a program can be valid UTF-8.

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

MOST_OPCODES = 200_000
"""A text that begins with this many opcodes is a pickle, whatever comes after them."""

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


def is_pickle(content: bytes, *, text: bool = True) -> bool:
    """Whether the unpickler would run ``content``, as the module's docstring defines it.

    Of what is known to be no ``text``, programs of data may have the opcodes of any protocol.
    """
    position, program, plain = 0, _Program(), True
    if not content:
        return False
    for _ in range(MOST_OPCODES):
        opcode = _OPCODES.get(content[position])
        end = None if opcode is None else _end(opcode, content, position + 1)
        if opcode is None or end is None or not program.follow(opcode, content[position + 1 : end]):
            return False
        position, plain = end, plain and opcode.proto == 0
        if program.named and (program.called or program.stopped):
            return True
        if program.stopped:
            if not content[position:].strip():
                return plain or not text
            program = _Program()
        elif position == len(content):
            return False
    return True


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


def _end(opcode: pickletools.OpcodeInfo, content: bytes, start: int) -> int | None:
    """Where the opcode's argument ends; None if the content ends before it.

    What a line says is not judged: the unpickler reads numbers in more spellings than pickletools does.
    """
    if opcode.arg is None:
        return start
    size = opcode.arg.n
    if size == pickletools.UP_TO_NEWLINE:
        for _ in range(2 if opcode.name in _NAMES else 1):
            start = content.find(b"\n", start) + 1
            if not start:
                return None
        return start
    if size in _LENGTH_BYTES:
        count = _LENGTH_BYTES[size]
        size = count + int.from_bytes(content[start : start + count], "little")
    return start + size if start + size <= len(content) else None


def _is_global(argument: bytes) -> bool:
    try:
        module, name = argument.decode().splitlines()
    except ValueError:
        return False
    return bool(_IDENTIFIERS.fullmatch(module) and _IDENTIFIERS.fullmatch(name))
