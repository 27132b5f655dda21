"""What errors of libraries mean for the user."""

from __future__ import annotations

import os
import sys

from vallecli.errors.base import VallecliError
from vallecli.errors.inputs import InputError
from vallecli.errors.machine import DeviceError, OutOfMemory
from vallecli.errors.outputs import DISK, OutputError, writing_hint


def explain(error: Exception) -> VallecliError | None:
    """Return the meaning of any library's error for the user, or None if it can only be a bug in valle."""
    if isinstance(error, VallecliError):
        return error
    if (short := shortage(error)) is not None:
        return short
    if isinstance(error, OSError) and error.errno in DISK:
        return OutputError(f"cannot write: {os.strerror(error.errno).lower()}", writing_hint(error.errno))
    if isinstance(error, FileNotFoundError) and "No usable temporary directory" in str(error):  # of tempfile
        return OutputError("no temporary file can be written", "Set TMPDIR to a folder on a disk with free space.")
    if isinstance(error, UnicodeEncodeError) and error.encoding == sys.getfilesystemencoding() != "utf-8":
        return InputError(
            f"a name has a character that this locale does not have ({error.encoding})", "Set LC_ALL=C.UTF-8."
        )
    if is_near_limit():
        first_line = (str(error).splitlines() or [""])[0]
        return OutOfMemory(
            f"there is not enough memory ({type(error).__name__}: {first_line})",
            "The memory of this process is limited (ulimit -v). Raise the limit.",
        )
    return None


# How libraries without classes for it, the kernel and the dynamic loader say that memory, handles or threads ran out.
NO_MEMORY = (
    *("can't allocate memory", "Cannot allocate memory", "failed to map segment", "std::bad_alloc", "bad allocation"),
    *("(os error 12)", "[Errno 12]"),
)
NEAR_LIMIT = 0.8  # of the address space; a large allocation that failed is not part of what was used
NO_HANDLES = ("Too many open files", "(os error 24)", "[Errno 24]")
NO_THREADS = ("can't start new thread", "Resource temporarily unavailable", "pthread_create")


def shortage(error: Exception) -> DeviceError | None:
    """Return the meaning of an error if it says that memory, file handles or threads ran out, else None."""
    text = str(error) if isinstance(error, RuntimeError | OSError | ImportError) or _is_safetensors(error) else ""
    if _out_of_memory(error) or any(phrase in text for phrase in NO_MEMORY):
        return OutOfMemory(
            "there is not enough memory",
            "Use the CPU, a smaller checkpoint, shorter sentences or fewer of them at the same time.",
        )
    if any(phrase in text for phrase in NO_HANDLES):
        return DeviceError("too many files are open", "Raise the limit, for example: ulimit -n 1024")
    if any(phrase in text for phrase in NO_THREADS):
        return DeviceError("no more threads can be started", "Raise the limit of processes: ulimit -u")
    return None


def is_near_limit() -> bool:
    """Return whether this process has used most of its address space, if that is limited: then libraries fail oddly."""
    try:
        import resource  # not on Windows

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return False
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123  # Linux only
            peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmPeak:"))
    except (ImportError, OSError, StopIteration, ValueError):
        return False
    return peak > NEAR_LIMIT * limit


def _is_safetensors(error: Exception) -> bool:
    return type(error).__name__ == "SafetensorError"  # its library is not imported for this


def _out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")  # it is not imported for this: an error of torch needs torch
    out_of_memory: type | None = getattr(torch, "OutOfMemoryError", None)
    return out_of_memory is not None and isinstance(error, out_of_memory)
