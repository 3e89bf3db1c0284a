"""The system calls that a sealed program keeps: a seccomp filter, built here as classic BPF.

The namespaces make the outside unreachable. The filter refuses what would lead around them: socket families that no
network namespace confines, ways into other namespaces, mounts, and the kernel's own settings. At the level ``nosocket``
it stands alone, and leaves unix sockets only.

The instructions and the structures are those of seccomp(2) and of Linux's userspace-api/seccomp_filter.rst. The x86-64
half is tested against a kernel. The aarch64 half was written from the kernel's asm-generic/unistd.h; it is untested but
for a BPF interpreter, and has never run on such a machine.
"""

from __future__ import annotations

import errno
import os
import sys

from codex_core.offline import linux

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    _Instruction = tuple[int, int, int, int]  # struct sock_filter: code, steps over if true, steps over if not, operand
    _Block = Sequence[_Instruction]  # returns in every case, so it can stand anywhere

_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16  # AF_, as Linux numbers them; the socket module is not on the start path

LOOPBACK = frozenset({_UNIX, _INET, _INET6, _NETLINK})
"""The socket families of the level ``kernel``, where the network namespace holds loopback and nothing else."""
NO_SOCKET = frozenset({_UNIX})
"""The socket families of the level ``nosocket``, where no namespace holds the others back."""

_STREAM, _DATAGRAM, _TYPE_MASK = 1, 2, 0xF  # the rest of a type is SOCK_NONBLOCK and SOCK_CLOEXEC
_INET_PROTOCOLS = (0, 1, 6, 17, 58)  # the default, ICMP, TCP, UDP, ICMPv6
_NETLINK_PROTOCOLS = (0, 4)  # NETLINK_ROUTE, which getaddrinfo asks for addresses, and NETLINK_SOCK_DIAG, which ss asks

_NEW_NAMESPACE = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET; NEWTIME is no clone flag
_UNSHARED_FREELY = 0x50F00  # CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM: no other bit is known to make no namespace
_REFUSED_REQUESTS = (
    0x5412,  # TIOCSTI types into the terminal, and the shell outside reads it
    0x541C,  # TIOCLINUX pastes into a console
    0x400454CA,  # TUNSETIFF: a tun device that is the user's own takes packets without any socket
    0xAF01,  # VHOST_SET_OWNER: /dev/vhost-net and vhost-vsock take them too, as if a virtual machine had sent them
)

_REFUSED = {  # on x86-64, on aarch64
    # other namespaces and other roots
    "setns": (308, 268),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    "open_by_handle_at": (304, 265),
    # mounts: one umount2 shows again what the seal has covered
    "mount": (165, 40),
    "umount2": (166, 39),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    # rings make system calls, socket among them, that no filter is shown
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # the kernel's keys belong to no namespace
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # the kernel's code, and what is most used to attack it
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    # the machine, which root without a user namespace of its own could change; adjtimex also reads, and stays
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
}
_TRACING = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
}
_JUDGED = {  # by their arguments
    "socket": (41, 198),
    "socketpair": (53, 199),
    "ioctl": (16, 29),
    "clone": (56, 220),
    "unshare": (272, 97),
    "clone3": (435, 435),
    "prlimit64": (302, 261),
}
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of the tables, AUDIT_ARCH_
_SECCOMP = (317, 277)

_X32 = 0x40000000  # this bit of a number asks x86-64 for the 32-bit call of another table
_SKIPPED = 0xFFFFFFFF  # the number that a tracer such as strace writes over that of a call which is not to happen

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_ALU|BPF_AND|BPF_K, BPF_RET|BPF_K
_IF_EQUAL, _IF_FROM, _IF_BITS = 0x15, 0x35, 0x45  # BPF_JMP|BPF_K with BPF_JEQ, BPF_JGE, BPF_JSET
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW = ((_RETURN, 0, 0, 0x7FFF0000),)
_KILL_PROCESS = ((_RETURN, 0, 0, 0x80000000),)


def program(machine: str, *, families: frozenset[int], tracing: bool = True) -> bytes:
    """The filter as an array of struct sock_filter, for ``machine`` as uname(2) calls it.

    Without ``tracing``, a process may not look into another one, nor take its sockets: where there is no user
    namespace, nothing else keeps it from those outside.

    OSError (ENOSYS) for a machine whose system calls are not known here; ValueError for a family outside LOOPBACK:
    such sockets may lead out of any network namespace.
    """
    if machine not in _MACHINES:
        raise OSError(
            errno.ENOSYS, f"there is a seccomp filter for {' and '.join(_MACHINES)}, not for this machine", machine
        )
    if strange := sorted(families - LOOPBACK):
        raise ValueError(f"socket families {strange} cannot be held inside; allow some of {sorted(LOOPBACK)}")
    column, arch = _MACHINES[machine]
    refused = _REFUSED if tracing else {**_REFUSED, **_TRACING}
    calls = [(refused[name][column], _refusal(errno.EPERM)) for name in refused]
    calls += [(_JUDGED[name][column], block) for name, block in _rules(families).items()]
    stretches = _stretches({number: block for number, block in calls if number is not None})
    if machine == "x86_64":
        stretches += [(_X32, _KILL_PROCESS), (_SKIPPED, _ALLOW)]
    code = [(_LOAD, 0, 0, _ARCH), (_IF_EQUAL, 1, 0, arch), *_KILL_PROCESS, (_LOAD, 0, 0, _NUMBER), *_search(stretches)]
    return b"".join(map(_packed, code))


def _packed(instruction: _Instruction) -> bytes:
    """One struct sock_filter; both machines are little-endian."""
    code, if_true, if_not, operand = instruction
    return code.to_bytes(2, "little") + bytes((if_true, if_not)) + operand.to_bytes(4, "little")


def call_number(name: str) -> int:
    """The number of a system call that the filter refuses or judges; OSError (ENOSYS) if it is not known here."""
    machine = os.uname().machine
    number = {**_REFUSED, **_TRACING, **_JUDGED}[name][_MACHINES[machine][0]] if machine in _MACHINES else None
    if number is None:
        raise OSError(errno.ENOSYS, f"the number of {name} is not known for this machine", machine)
    return number


def install(code: bytes) -> None:
    """Hold this process, with all its threads and what they start, to the filter ``code``, for ever.

    ``code`` is a ``program`` for this machine. Sets no_new_privs. OSError if the kernel takes no filter.
    """
    machine = os.uname().machine
    if sys.maxsize < 1 << 32:
        raise OSError(errno.ENOSYS, "a 32-bit Python makes system calls that the filter kills", machine)
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    if thread := linux.filter_system_calls(code, _SECCOMP[_MACHINES[machine][0]]):
        raise OSError(errno.EBUSY, f"thread {thread} has a seccomp filter that this process does not have")


def _stretches(calls: Mapping[int, _Block]) -> list[tuple[int, _Block]]:
    """The answer to every number, as stretches that have one answer: where each begins, in order, and what it is."""
    found: list[tuple[int, _Block]] = [(0, calls.get(0, _ALLOW))]
    for number in sorted({*calls, *(number + 1 for number in calls)}):
        block = calls.get(number, _ALLOW)
        if block != found[-1][1]:
            found.append((number, block))
    return found


def _search(stretches: Sequence[tuple[int, _Block]]) -> _Block:
    """Find the stretch that the loaded number is in, by halves.

    Nothing else is loaded on the way to ``_ALLOW``: since Linux 5.11 the kernel then notes that such a number is always
    allowed, and runs no filter for it.
    """
    if len(stretches) == 1:
        return stretches[0][1]
    middle = len(stretches) // 2
    low, high = _search(stretches[:middle]), _search(stretches[middle:])
    return ((_IF_FROM, len(low), 0, stretches[middle][0]), *low, *high)  # bytes() takes no jump over 255


def _rules(families: frozenset[int]) -> dict[str, _Block]:
    """What becomes of each call of ``_JUDGED``."""
    return {
        "socket": (*_argument(0), *_by_family(families), *_refusal(errno.EAFNOSUPPORT)),
        "socketpair": (*_argument(0), *_only(sorted(families & NO_SOCKET), errno.EAFNOSUPPORT), *_ALLOW),
        "ioctl": (*_argument(1), *_none_of(_REFUSED_REQUESTS, errno.EPERM), *_ALLOW),
        "clone": (*_argument(0), *_no_bit_of(_NEW_NAMESPACE, errno.EPERM), *_ALLOW),
        "unshare": (
            *_argument(0, word=1),  # these flags are 64 bits wide, and the low ones are used up
            *_no_bit_of(0xFFFFFFFF, errno.EPERM),
            *_argument(0),
            *_no_bit_of(0xFFFFFFFF ^ _UNSHARED_FREELY, errno.EPERM),
            *_ALLOW,
        ),
        "prlimit64": (*_argument(0), *_only((0,), errno.EPERM), *_ALLOW),  # others' limits, as those of the init
        "clone3": _refusal(errno.ENOSYS),  # its flags are in memory, out of a filter's sight; libraries then use clone
    }


def _by_family(families: frozenset[int]) -> _Block:
    """Judge socket(2) by the family that is loaded; what is left over belongs to none of ``families``.

    Of the internet's transports only TCP, UDP and ping remain. A network namespace would hold MPTCP, SCTP, SMC and the
    like inside, but a program that uses them would then work or not by the level and by the modules of the host.
    """
    internet = (
        *_argument(1),
        (_AND, 0, 0, _TYPE_MASK),
        *_only((_STREAM, _DATAGRAM), errno.EPERM),  # among the others are SOCK_RAW and SOCK_PACKET
        *_argument(2),
        *_only(_INET_PROTOCOLS, errno.EPROTONOSUPPORT),
        *_ALLOW,
    )
    netlink = (*_argument(2), *_only(_NETLINK_PROTOCOLS, errno.EPROTONOSUPPORT), *_ALLOW)
    blocks: dict[int, _Block] = {_UNIX: _ALLOW, _INET: internet, _INET6: internet, _NETLINK: netlink}
    cases = [((_IF_EQUAL, 0, len(blocks[one]), one), *blocks[one]) for one in sorted(families)]
    return [instruction for case in cases for instruction in case]


def _argument(index: int, *, word: int = 0) -> _Block:
    """Load a word of an argument, the low one first: of an int, and of clone(2)'s flags, the kernel reads no other."""
    return ((_LOAD, 0, 0, _ARGUMENTS + 8 * index + 4 * word),)  # both machines are little-endian


def _refusal(number: int) -> _Block:
    return ((_RETURN, 0, 0, 0x00050000 | number),)  # SECCOMP_RET_ERRNO


def _only(values: Sequence[int], number: int) -> _Block:
    """Go on if one of ``values`` is loaded, else refuse."""
    return (*((_IF_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)), *_refusal(number))


def _none_of(values: Iterable[int], number: int) -> _Block:
    """Refuse if one of ``values`` is loaded, else go on."""
    return [instruction for value in values for instruction in ((_IF_EQUAL, 0, 1, value), *_refusal(number))]


def _no_bit_of(mask: int, number: int) -> _Block:
    """Refuse if a bit of ``mask`` is loaded, else go on."""
    return ((_IF_BITS, 0, 1, mask), *_refusal(number))
