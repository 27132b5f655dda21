"""The pickles in PyTorch's files, read as data: an interpreter that builds plain values and tensors, and nothing else.

Python's unpickler imports and calls whatever a pickle names, and torch's restricted one calls constructors that
allocate what they are asked for. This one has the instructions that torch.save writes, the few constructors in
CONSTRUCTORS, and a limit on its work, so that neither code nor memory is at the choice of a file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

MAX_BYTES = 2**23  # of the pickles of a file; that of a full-size checkpoint has 60 kB
MAX_WORK = 2**21  # instructions, and items that are copied
MAX_VALUES = 2**21  # of the result, when what is shared is counted as often as it occurs
MAX_DEPTH = 64  # of containers in containers
MAX_TEXT = 2**12  # characters of a path
MAX_DIMENSIONS = 16
MAX_LONG = 2**63 - 1

DTYPES = {
    name: getattr(torch, name)
    for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
}
STORAGES = {  # class of a storage -> type of its numbers
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class Refused(Exception):
    """A pickle with more than data in it, or with more data than a checkpoint has."""


@dataclass(frozen=True)
class Storage:
    """Numbers of a file: `numel` of them from number `first` of the array `key`."""

    dtype: torch.dtype
    key: str
    first: int
    numel: int


@dataclass(frozen=True)
class Extent:
    """A tensor's place in its storage: number `offset`, and what each dimension adds to it."""

    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def check(self, numel: int) -> None:
        """Raise ValueError unless all values are among `numel` stored ones."""
        numbers = (self.offset, *self.size, *self.stride)
        if len(self.size) != len(self.stride) or len(self.size) > MAX_DIMENSIONS:
            raise ValueError(f"a tensor has {len(self.size)} sizes and {len(self.stride)} strides")
        if any(type(number) is not int or not 0 <= number <= MAX_LONG for number in numbers):
            raise ValueError("a tensor has sizes that no tensor has")
        pairs = zip(self.size, self.stride, strict=True)
        last = self.offset + sum((size - 1) * stride for size, stride in pairs)
        if 0 not in self.size and last >= numel:
            raise ValueError(f"a tensor ends at value {last} of {numel} that are stored")


MakeTensor = Callable[[Storage, Extent], Tensor]


class _Global(NamedTuple):
    """A name of a pickle that stands for a constructor; never what the name means to Python."""

    name: str


class _Ordered(dict[Any, Any]):
    """An OrderedDict of the file, whose attributes are ignored."""


class _Fields(dict[str, Any]):
    """An object of the file as its attributes: plain values by name."""


class _Number(NamedTuple):
    """The type of a number that numpy wrote: a letter and the number of bytes."""

    kind: str


class Interpreter:
    """Reads pickles of one file, one after the other."""

    def __init__(self, data: bytes, make_tensor: MakeTensor) -> None:
        """`make_tensor` receives each tensor's storage and extent, which are checked against each other."""
        self.data, self.position = data, 0
        self._make_tensor = make_tensor
        self._work = 0
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """Return the value of the next pickle.

        Raises Refused, and ValueError for a pickle that is damaged.
        """
        self._stack, self._marks, self._memo = [], [], {}
        try:
            while (code := self._take(1)) != b".":
                self._spend(1)
                if (step := STEPS.get(code)) is None:
                    raise Refused(f"its pickle has the instruction {code!r}, which torch does not write")
                step(self)
            value = self._stack.pop()
        except (
            IndexError,
            KeyError,
            TypeError,
            AttributeError,
        ) as error:  # of noise
            raise ValueError("its pickle is damaged") from error
        _check_tree(value, 0, {})
        return value

    def _spend(self, work: int) -> None:
        self._work += work
        if self._work > MAX_WORK:
            raise Refused("its pickle is longer than that of any checkpoint")

    # Arguments of instructions

    def _take(self, length: int) -> bytes:
        taken = self.data[self.position : self.position + length]
        self.position += length
        if len(taken) < length:
            raise ValueError("its pickle ends early")
        return taken

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _line(self) -> str:
        end = self.data.find(b"\n", self.position, self.position + MAX_TEXT)
        if end < 0:
            raise ValueError("its pickle is damaged")
        text = self.data[self.position : end].decode()
        self.position = end + 1
        return text

    # Instructions

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _tuple(self, length: int) -> None:
        if len(self._stack) < length:
            raise ValueError("its pickle is damaged")
        self._stack[-length:] = [tuple(self._stack[-length:])]

    def _put(self, layout: str) -> None:
        self._memo[self._number(layout)] = self._stack[-1]

    def _get(self, layout: str) -> None:
        self._push(self._memo[self._number(layout)])

    def _append(self, items: Sequence[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise Refused(f"its pickle appends to {type(target).__name__}")
        target.extend(items)

    def _set(self, items: Sequence[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise Refused(f"its pickle sets items of {type(target).__name__}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_plain_key(key)] = value

    def _set_one(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def _find(self) -> None:
        name = f"{self._line()}.{self._line()}"
        name = name.replace("__builtin__.", "builtins.", 1)
        module, _, last = name.rpartition(".")
        if module == "torch" and last in DTYPES:
            self._push(DTYPES[last])
        elif name in CONSTRUCTORS or name in OBJECTS or (module == "torch" and last in STORAGES) or name == UNTYPED:
            self._push(_Global(name))
        else:
            raise Refused(f"its pickle asks for {name}")

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack[-1]
        if not isinstance(function, _Global) or function.name not in CONSTRUCTORS or type(arguments) is not tuple:
            raise Refused("its pickle calls what is no constructor")
        self._stack[-1] = CONSTRUCTORS[function.name](self, *arguments)

    def _new_object(self) -> None:
        arguments, function = self._stack.pop(), self._stack[-1]
        if not isinstance(function, _Global) or function.name not in OBJECTS or arguments != ():
            raise Refused("its pickle makes an object of an unknown kind")
        self._stack[-1] = _Fields()

    def _build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if type(target) is _Fields and type(state) is dict:
            self._set([item for pair in state.items() for item in pair])
        elif type(target) not in (_Ordered, _Number):  # the order of bytes of a number is checked with its value
            raise Refused(f"its pickle sets attributes of {type(target).__name__}")
        elif type(target) is _Number and (type(state) is not tuple or state[1] not in ("<", "|")):
            raise Refused("it has numbers of numpy in another order of bytes")

    def _storage(self) -> None:
        kind, held, key, _, numel, *more = self._stack.pop()
        if _text(kind) != "storage" or not isinstance(held, _Global):
            raise Refused("its pickle refers to other objects than storages")
        dtype = torch.uint8 if held.name == UNTYPED else STORAGES[held.name.rpartition(".")[2]]
        first = 0
        if more and more[0] is not None:  # in the older container: a part of an array
            _, first, numel = more[0]
        if not all(type(number) is int and 0 <= number <= MAX_LONG for number in (first, numel)):
            raise ValueError("a storage has a size that no storage has")
        self._push(Storage(dtype, _text(key), first, numel))

    # Constructors

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *more: Any) -> Tensor:
        if not isinstance(storage, Storage) or type(size) is not tuple or type(stride) is not tuple:
            raise ValueError("a tensor is not made of a storage, sizes and strides")
        if len(more) > 2 and more[2]:  # the first two: whether it needs a gradient, and hooks
            raise Refused("it has tensors that are stored negated or conjugated")
        extent = Extent(offset, size, stride)
        extent.check(storage.numel)
        return self._make_tensor(storage, extent)

    def _parameter(self, data: Any, *_: Any) -> Tensor:
        if not isinstance(data, Tensor):
            raise ValueError("a parameter is not made of a tensor")
        return data

    def _ordered(self) -> _Ordered:
        return _Ordered()

    def _set_of(self, items: Any = ()) -> set[Any]:
        if not isinstance(items, list | tuple):
            raise ValueError("a set is not made of a list")
        self._spend(len(items))
        return {_plain_key(item) for item in items}

    def _size(self, items: Any) -> tuple[Any, ...]:
        if not isinstance(items, list | tuple) or len(items) > MAX_DIMENSIONS:
            raise ValueError("a size is not made of a few numbers")
        return tuple(items)

    def _path(self, *parts: Any) -> str:
        """Return a pathlib object of the file as text: its parts joined, never a path on this machine."""
        texts = [_text(part) for part in parts]
        if sum(map(len, texts)) + len(texts) > MAX_TEXT:
            raise Refused(f"it has a path of more than {MAX_TEXT} characters")
        return "/".join(texts)

    def _device(self, *parts: Any) -> str:
        return ":".join(str(part) for part in parts if isinstance(part, str | int))[:MAX_TEXT]

    def _number_type(self, kind: Any, *_: Any) -> _Number:
        if _text(kind) not in NUMBERS:
            raise Refused(f"it has numbers of numpy of the type {_text(kind)[:9]}")
        return _Number(kind)

    def _scalar(self, kind: Any, content: Any) -> int | float:
        """Return a number that numpy wrote."""
        if not isinstance(kind, _Number) or not isinstance(content, bytes):
            raise ValueError("a number of numpy is not made of a type and bytes")
        value: int | float = struct.unpack(f"<{NUMBERS[kind.kind]}", content)[0]
        return value

    def _bytes(self, text: Any, encoding: Any = "latin1") -> bytes:
        """Return bytes, which the protocol that torch writes stores as text."""
        if encoding != "latin1":
            raise Refused("its pickle encodes text")
        self._spend(len(_text(text)))
        return _text(text).encode("latin1")


def _text(value: Any) -> str:
    """Return text of the file; bytes are text that Python 2 wrote."""
    if isinstance(value, bytes):
        return value.decode("ascii")
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} is in the place of text")
    return value


def _plain_key(key: Any) -> Any:
    """Return a key or a member of a set: hashing tuples of tuples can take for ever."""
    if not isinstance(key, str | bytes | int | float | bool | None):
        raise Refused(f"its pickle has {type(key).__name__} as a key")
    return key


def _check_tree(value: Any, depth: int, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """Return the number of values in a result and the depth of containers below it, with shared ones repeated.

    A few shared lists can stand for more values than any memory holds; what prints or copies them would never end.
    Raises Refused for more than MAX_VALUES, MAX_DEPTH, or a container in itself, and for what is no plain value.
    """
    if isinstance(value, dict):
        children: Sequence[Any] = list(value.values())  # keys are plain
    elif isinstance(value, list | tuple) and not isinstance(value, _Global):
        children = value
    elif isinstance(value, str | bytes | int | float | set | Tensor | torch.dtype | None):
        return 1, 0
    else:
        raise Refused("its pickle has values that are no data")
    if id(value) in known:
        counted = known[id(value)]
        if counted is None:
            raise Refused("its pickle has a container in itself")
    else:
        known[id(value)] = None
        if depth > MAX_DEPTH:
            raise Refused("its pickle has too many containers in each other")
        inner = [_check_tree(child, depth + 1, known) for child in children]
        counted = 1 + sum(count for count, _ in inner), 1 + max((height for _, height in inner), default=0)
        known[id(value)] = counted
    if counted[0] > MAX_VALUES or depth + counted[1] > MAX_DEPTH + 1:
        raise Refused("its pickle stands for more values than any checkpoint has")
    return counted


NUMBERS = {"f2": "e", "f4": "f", "f8": "d", "i4": "i", "i8": "q"}  # types of numpy -> formats of struct
OBJECTS = ("argparse.Namespace", "fairseq.data.dictionary.Dictionary")  # of trainers; read as their attributes
UNTYPED = "torch.storage.UntypedStorage"
CONSTRUCTORS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": Interpreter._tensor,
    "torch._utils._rebuild_tensor_v2": Interpreter._tensor,
    "torch._utils._rebuild_parameter": Interpreter._parameter,
    "collections.OrderedDict": Interpreter._ordered,
    "builtins.set": Interpreter._set_of,
    "torch.Size": Interpreter._size,
    "torch.device": Interpreter._device,
    "_codecs.encode": Interpreter._bytes,
    "numpy.dtype": Interpreter._number_type,
    "numpy.core.multiarray.scalar": Interpreter._scalar,  # trainers store their loss
    "numpy._core.multiarray.scalar": Interpreter._scalar,
    **{
        f"{module}.{name}": Interpreter._path  # trainers store the folders they ran in
        for module in ("pathlib", "pathlib._local")  # the second is its name in Python 3.13
        for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
    },
}
STEPS: dict[bytes, Callable[[Interpreter], object]] = {  # code of an instruction -> what it does
    b"\x80": lambda it: it._take(1),  # version of the protocol
    b"(": Interpreter._mark,
    b"N": lambda it: it._push(None),
    b"\x88": lambda it: it._push(True),
    b"\x89": lambda it: it._push(False),
    b"J": lambda it: it._push(it._number("<i")),
    b"K": lambda it: it._push(it._number("<B")),
    b"M": lambda it: it._push(it._number("<H")),
    b"G": lambda it: it._push(it._number(">d")),
    b"\x8a": lambda it: it._push(int.from_bytes(it._take(it._number("<B")), "little", signed=True)),
    b"X": lambda it: it._push(it._take(it._number("<I")).decode("utf-8", "backslashreplace")),
    b"U": lambda it: it._push(it._take(it._number("<B")).decode("utf-8", "backslashreplace")),
    b")": lambda it: it._push(()),
    b"t": lambda it: it._push(tuple(it._since_mark())),
    b"\x85": lambda it: it._tuple(1),
    b"\x86": lambda it: it._tuple(2),
    b"\x87": lambda it: it._tuple(3),
    b"]": lambda it: it._push([]),
    b"a": lambda it: it._append([it._stack.pop()]),
    b"e": lambda it: it._append(it._since_mark()),
    b"}": lambda it: it._push({}),
    b"s": Interpreter._set_one,
    b"u": lambda it: it._set(it._since_mark()),
    b"q": lambda it: it._put("<B"),
    b"r": lambda it: it._put("<I"),
    b"h": lambda it: it._get("<B"),
    b"j": lambda it: it._get("<I"),
    b"c": Interpreter._find,
    b"R": Interpreter._reduce,
    b"\x81": Interpreter._new_object,
    b"b": Interpreter._build,
    b"Q": Interpreter._storage,
}
