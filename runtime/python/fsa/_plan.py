"""Plan: an operator's forward bound to its kernels."""
from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import _library as c
from . import _tensors
from ._engine import Engine, problem_text
from ._errors import bad

LAYOUTS = ("packed", "rows", "scalars")
_DTYPE_OF = {pair: name for name, pair in _tensors.DTYPES.items()}
_TORCH_CODES = {"torch.float32": "f32", "torch.float16": "f16", "torch.bfloat16": "bf16", "torch.int32": "i32"}


@dataclass(frozen=True)
class TensorInfo:
    """A tensor that a plan reads or writes.

    layout: "packed": contiguous; "rows": [tokens, heads, dim] with free token and head strides in multiples of 16 bytes, dim
    contiguous, 16-byte aligned; "scalars": [tokens, heads, n] with free token and head strides (0 included), n contiguous.
    """
    name: str
    dtype: str
    shape: tuple
    layout: str
    written: bool


class _Frame:
    """The arguments of one call in C: an array of addresses of DLTensors, and DLTensors for those who have none of their own."""
    __slots__ = ("pointers", "address", "own", "addresses", "shapes", "strides", "seen", "uses_own")

    def __init__(self, count: int):
        self.pointers = (ctypes.c_uint64 * count)()
        self.address = ctypes.addressof(self.pointers)
        self.own = [c.DLTensor() for _ in range(count)]
        self.addresses = [ctypes.addressof(tensor) for tensor in self.own]
        self.shapes = [(ctypes.c_int64 * 8)() for _ in range(count)]
        self.strides = [(ctypes.c_int64 * 8)() for _ in range(count)]
        self.seen: list = [None] * count
        self.uses_own = [False] * count

    def put_own(self, i: int) -> int:
        """Takes the frame's DLTensor as the argument; returns its address, for another to fill it."""
        if not self.uses_own[i]:
            self.pointers[i] = self.addresses[i]
            self.uses_own[i] = True
        return self.addresses[i]

    def put_torch(self, i: int, tensor) -> None:
        self.put_own(i)
        seen = (tensor.shape, tensor.stride(), tensor.dtype, tensor.device)
        if seen != self.seen[i]:
            self._describe(i, *seen)
            self.seen[i] = seen
        self.own[i].data = tensor.data_ptr()

    def put_exchanged(self, i: int, tensor, table: _tensors.Exchange) -> None:
        """Lets the tensor's library describe it; what DLPack cannot express is described here, for the library's error message."""
        self.seen[i] = None
        try:
            table.describe(tensor, self.put_own(i))
        except (BufferError, RuntimeError, TypeError):
            self.put_torch(i, tensor)

    def put_address(self, i: int, address: int) -> None:
        self.pointers[i] = address
        self.uses_own[i] = False

    def _describe(self, i: int, shape, strides, dtype, device) -> None:
        tensor = self.own[i]
        if len(shape) > 8:
            raise bad(f"a tensor of {len(shape)} dimensions", "at most 4")
        code = _TORCH_CODES.get(str(dtype))
        tensor.dtype = c.DLDataType(*_tensors.DTYPES[code], 1) if code else _torch_dtype(dtype)
        kinds = {"cpu": _tensors.CPU, "cuda": _tensors.CUDA}
        if device.type not in kinds:
            raise bad(f"a tensor on {device}", "the CPU and CUDA devices", "move it with .to()", kind="unsupported")
        tensor.device = c.DLDevice(kinds[device.type], device.index or 0)
        tensor.ndim = len(shape)
        tensor.byte_offset = 0
        for k, (n, stride) in enumerate(zip(shape, strides)):
            self.shapes[i][k], self.strides[i][k] = n, stride
        tensor.shape = ctypes.cast(self.shapes[i], ctypes.POINTER(ctypes.c_int64))
        tensor.strides = ctypes.cast(self.strides[i], ctypes.POINTER(ctypes.c_int64))


def _torch_dtype(dtype) -> c.DLDataType:
    """A type that no plan takes, in DLPack's terms, for the library's error message."""
    name = str(dtype)
    code = 6 if name == "torch.bool" else 5 if dtype.is_complex else 2 if dtype.is_floating_point else 1 if name.startswith("torch.uint") else 0
    return c.DLDataType(code, dtype.itemsize * 8, 1)


class Plan:
    """An operator's forward for one problem, bound to its kernels. Made by Engine.plan(). Any number of threads may call it.

    Attributes: op, problem (as given), device ("cpu", "cuda:0"), tensors (TensorInfo of each tensor, in the order that forward()
    takes them), workspace_bytes, variant, report (a dict: source, why, configs, compiled, from_cache, ...). str(plan) is for people.
    """

    def __init__(self, engine: Engine, op: str, problem: Mapping):
        self._handle = None
        self._library = c.library()
        self._forward = self._library.fsa_plan_forward
        self._engine = engine  # keeps kernels loaded while work may be under way, and the log callback alive
        handle = ctypes.c_void_p()
        c.check(self._library.fsa_plan_create(engine._handle, op.encode(), problem_text(problem), ctypes.byref(handle)))
        self._handle = handle.value
        info = c.PlanInfo(ctypes.sizeof(c.PlanInfo))
        c.check(self._library.fsa_plan_get_info(self._handle, ctypes.byref(info)))
        self.op = op
        self.problem = dict(problem)
        self.device = _tensors.device_text(info.device.device_type, info.device.device_id)
        self.variant: str = info.variant.decode()
        self.report: dict = json.loads(info.report_json)
        self.workspace_bytes: int = info.workspace_bytes
        self._text: str = info.report_text.decode()
        self.tensors: tuple[TensorInfo, ...] = tuple(self._tensor(i) for i in range(info.num_tensors))
        self._names = [t.name for t in self.tensors]
        self._written = [t.written for t in self.tensors]
        self._index = None if self.device == "cpu" else int(self.device[5:])
        self._workspace_maker: tuple = (None, None)  # of a type of tensors
        self._frames: list[_Frame] = []  # free ones; popping and appending are atomic

    def _tensor(self, i: int) -> TensorInfo:
        info = c.TensorInfoStruct(ctypes.sizeof(c.TensorInfoStruct))
        c.check(self._library.fsa_plan_get_tensor(self._handle, i, ctypes.byref(info)))
        return TensorInfo(info.name.decode(), _DTYPE_OF[info.dtype.code, info.dtype.bits], tuple(info.shape[k] for k in range(info.ndim)),
                          LAYOUTS[info.layout], bool(info.written))

    def forward(self, tensors: Sequence | Mapping, *, workspace=None, stream=None) -> None:
        """Computes the outputs into the tensors given.

        tensors: numpy, torch, cupy, jax (inputs) or any with __dlpack__, as a sequence in the order of self.tensors or by name.
        workspace: a contiguous tensor of at least workspace_bytes bytes on the plan's device, 256-byte aligned. None: on the CPU
          memory of the thread, with torch and cupy a temporary of their allocators.
        stream: CUDA only: an integer handle, a torch.cuda.Stream or a cupy.cuda.Stream. None: the library's current stream.
        On CUDA it returns before the work is done. Raises fsa.Error: "invalid_argument" names the tensor and what is wrong with it.
        """
        tensors = self._in_order(tensors)
        handle, like = self._stream(stream, tensors)
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = _Frame(len(self._names))
        keep = self._fill(frame, tensors, handle)
        if workspace is not None:
            address, size = self._given_workspace(workspace)
        elif not self.workspace_bytes:
            address = size = 0
        elif self._index is None:
            size = self.workspace_bytes
            address = _tensors.scratch.get(size)
        else:
            with _tensors.allocating_on(stream, like):
                memory = self._make_workspace(like)
            keep.append(memory)
            size = self.workspace_bytes
            address = memory.data_ptr() if hasattr(memory, "data_ptr") else _tensors.workspace_memory(memory)[0]
        status = self._forward(self._handle, frame.address, len(tensors), address, size, handle)
        self._frames.append(frame)
        if status:
            c.raise_for(status)

    def _make_workspace(self, like):
        kind, make = self._workspace_maker
        if kind is not type(like):
            make = _tensors.maker((self.workspace_bytes // 4 + 1,), "i32", like, "workspace")
            self._workspace_maker = type(like), make
        return make(like)

    def validate(self, tensors: Sequence | Mapping) -> None:
        """Everything forward() checks, that the memory is the device's, and the contents of cu_q and cu_k. Waits for the device."""
        tensors = self._in_order(tensors)
        frame = _Frame(len(self._names))
        keep = self._fill(frame, tensors, self._stream(None, tensors)[0])
        c.check(self._library.fsa_plan_validate(self._handle, frame.address, len(tensors)))
        del keep

    def _in_order(self, tensors) -> Sequence:
        if not isinstance(tensors, (list, tuple)):
            missing, unknown = [n for n in self._names if n not in tensors], [n for n in tensors if n not in self._names]
            if missing or unknown:
                raise bad(f"tensors without {', '.join(missing)}" if missing else f"tensors with {', '.join(unknown)}", "exactly " + ", ".join(self._names))
            return [tensors[name] for name in self._names]
        if len(tensors) != len(self._names):
            raise bad(f"{len(tensors)} tensors", f"the {len(self._names)} of this plan: {', '.join(self._names)}")
        return tensors

    def _stream(self, stream, tensors):
        """The handle of the stream to work on, 0 on the CPU, and the tensor whose library allocates."""
        if self._index is None:
            return 0, None
        like = tensors[0]
        return (_tensors.current_stream(like, self._index) if stream is None else _tensors.stream_handle(stream)), like

    def _fill(self, frame: _Frame, tensors, stream: int) -> list:
        """Writes the arguments; returns what has to live until the call returns."""
        torch = sys.modules.get("torch")
        tensor_type = getattr(torch, "Tensor", ())
        dlpack_stream = None if self._index is None else stream or 1  # DLPack's number for the default stream
        keep, exchange_of = [], _tensors.exchange_of
        for i, tensor in enumerate(tensors):
            if isinstance(tensor, tensor_type):
                table = exchange_of(type(tensor))
                if table is None:
                    frame.put_torch(i, tensor)
                else:
                    frame.put_exchanged(i, tensor, table)
            else:
                capsule, address = _tensors.export(tensor, self._names[i], self._written[i], dlpack_stream)
                frame.put_address(i, address)
                keep.append(capsule)
        return keep

    def _given_workspace(self, workspace) -> tuple[int, int]:
        address, size, device = _tensors.workspace_memory(workspace)
        if device != self.device:
            raise bad(f"workspace is on {device}", f"memory of {self.device}, where this plan runs")
        return address, size

    def __del__(self):
        if getattr(self, "_handle", None):
            self._library.fsa_plan_destroy(self._handle)
            self._handle = None

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"fsa.Plan({self.op} on {self.device}: {self.variant}, {self.report['source']})"
