"""The system calls that Python 3.11 has no names for. Each raises OSError where the system refuses."""

from __future__ import annotations

import ctypes
import os

NEW_MOUNTS, NEW_IPC, NEW_USER, NEW_NET = 0x00020000, 0x08000000, 0x10000000, 0x40000000
READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC, BIND, RECURSIVE, PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18
_SET_SUBREAPER, _NO_NEW_PRIVS = 36, 38
_MOUNT_SETATTR, _HERE, _WHOLE_TREE = 442, -100, 0x8000


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns", ctypes.c_uint64),
    )


def unshare(flags: int) -> None:
    """Leaves the namespaces named by the flags for new ones."""
    _call("unshare", flags)


def adopt_orphans() -> None:
    """Makes this process the parent of every orphan below it, however it was started."""
    _call("prctl", _SET_SUBREAPER, 1, 0, 0, 0)


def no_new_privileges() -> None:
    """No program started from here gains rights: set-uid bits are ignored."""
    _call("prctl", _NO_NEW_PRIVS, 1, 0, 0, 0)


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Attaches a file system, or changes how one is attached."""
    words = [word.encode() or None for word in (source, target, kind)]
    _call("mount", *words, ctypes.c_ulong(flags), options.encode() or None)


def set_read_only(path: str, *, on: bool, tree: bool = False) -> None:
    """Makes a mount, or all mounts below it, read-only; or one of them writable again."""
    flags = _MountAttributes(set=READ_ONLY | NO_SUID) if on else _MountAttributes(clear=READ_ONLY)
    size = ctypes.c_size_t(ctypes.sizeof(flags))
    _call("syscall", _MOUNT_SETATTR, _HERE, path.encode(), _WHOLE_TREE if tree else 0, ctypes.byref(flags), size)


def _call(name: str, *arguments: object) -> None:
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is None:
        raise OSError(f"this system has no {name}()")
    if function(*arguments) == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
