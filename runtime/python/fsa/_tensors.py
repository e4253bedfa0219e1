"""Tensors of other libraries: their addresses, shapes and streams, and the making of new ones. No library is imported here."""
from __future__ import annotations

import contextlib
import ctypes
import sys
import threading

from . import _library as c
from ._errors import bad

CPU, CUDA, CUDA_HOST, CUDA_MANAGED = 1, 2, 3, 13
DTYPES = {"f32": (2, 32), "f16": (2, 16), "bf16": (4, 16), "i32": (0, 32)}  # DLPack code and bits
NAMES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16", "int32": "i32"}
_VERSIONED_TENSOR = 32  # offset of dl_tensor in DLManagedTensorVersioned: version, context, deleter, flags
_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype, _capsule_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def dtype_name(tensor) -> str:
    """"bf16", "f16", "f32", "i32", or the library's own name for any other type."""
    name = str(tensor.dtype).rpartition(".")[2]
    return NAMES.get(name, name)


def device_text(device_type: int, index: int) -> str:
    """"cpu" or "cuda:N" for what DLPack calls (device_type, index)."""
    if device_type in (CPU, CUDA_HOST):
        return "cpu"
    if device_type in (CUDA, CUDA_MANAGED):
        return f"cuda:{index}"
    raise bad(f"a tensor on a device of DLPack type {device_type}", "the CPU and CUDA devices", "copy it there", kind="unsupported")


def torch_of(tensor):
    """The torch module if `tensor` is a torch.Tensor, else None."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(tensor, torch.Tensor) else None


def library_of(tensor, name: str) -> str:
    """"torch", "numpy", "cupy", "jaxlib", ...: where the tensor's type comes from. Raises fsa.Error for what is no tensor."""
    if not hasattr(tensor, "__dlpack__"):
        raise bad(f"{name} is a {type(tensor).__name__}", "tensors of numpy, torch, cupy, jax, or any other type with __dlpack__",
                  "convert it, e.g. with numpy.asarray" if isinstance(tensor, (list, tuple)) else "")
    return type(tensor).__module__.partition(".")[0] if torch_of(tensor) is None else "torch"


def device_of(tensor) -> str:
    """"cpu" or "cuda:N"."""
    if torch_of(tensor) is not None:
        if tensor.device.type not in ("cpu", "cuda"):
            raise bad(f"a tensor on {tensor.device}", "the CPU and CUDA devices", "move it with .to()", kind="unsupported")
        return "cpu" if tensor.device.type == "cpu" else f"cuda:{tensor.device.index}"
    device_type, index = tensor.__dlpack_device__()
    return device_text(int(device_type), int(index))


# ---- DLPack's table of C functions ----

class _ExchangeTable(ctypes.Structure):
    """DLPackExchangeAPI of DLPack 1.2 and later, by the addresses of its functions."""
    _fields_ = [("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("previous", ctypes.c_void_p), ("allocate", ctypes.c_void_p),
                ("managed_from_object", ctypes.c_void_p), ("managed_to_object", ctypes.c_void_p), ("describe", ctypes.c_void_p),
                ("current_stream", ctypes.c_void_p)]


class Exchange:
    """What a type of tensors offers through __dlpack_c_exchange_api__: what its Python attributes tell, without making Python objects.

    describe(tensor, address): fills the DLTensor at `address`, valid while the tensor lives unchanged; raises what the library raises.
    current_stream(device): the handle of the stream that the library works on now.
    """

    def __init__(self, table: _ExchangeTable):
        # PYFUNCTYPE keeps the interpreter's lock, which these functions need, and raises the exception that they set.
        self.describe = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p)(table.describe)
        self._current = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int32, ctypes.c_void_p)(table.current_stream)

    def current_stream(self, index: int) -> int:
        handle = ctypes.c_void_p()
        self._current(CUDA, index, ctypes.addressof(handle))
        return handle.value or 0


_exchanges: dict = {}


def exchange_of(kind: type) -> Exchange | None:
    """The table of a type of tensors; None where it has none, or one whose layout is not known here."""
    try:
        return _exchanges[kind]
    except KeyError:
        found = _exchanges[kind] = _find_exchange(kind)
        return found


def _find_exchange(kind: type) -> Exchange | None:
    # vars(): a derived class may hold its elements elsewhere than the class that the functions were written for.
    capsule = vars(kind).get("__dlpack_c_exchange_api__")
    try:
        address = _capsule_pointer(capsule, b"dlpack_exchange_api")
    except (ValueError, TypeError):
        return None
    table = _ExchangeTable.from_address(address)
    return Exchange(table) if table.major == 1 and table.describe and table.current_stream else None


# ---- Making tensors ----

_TORCH_DTYPES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "i32": "int32"}


def _numpy_dtype(np, dtype: str, like):
    if dtype != "bf16":
        return np.dtype(_TORCH_DTYPES[dtype])
    if dtype_name(like) == "bf16":
        return like.dtype
    from ml_dtypes import bfloat16  # an array of bfloat16 exists, so the package does
    return np.dtype(bfloat16)


def maker(shape: tuple, dtype: str, like, name: str):
    """A function that makes an uninitialised tensor of the library and on the device of its argument, a tensor such as `like`."""
    torch = torch_of(like)
    if torch is not None:
        kind = getattr(torch, _TORCH_DTYPES[dtype])  # new_empty parses no device, which takes torch.empty as long as the rest
        return (lambda near: near.new_empty(shape)) if kind == like.dtype else (lambda near: near.new_empty(shape, dtype=kind))
    library = library_of(like, name)
    if library == "cupy":
        import cupy
        cupy_kind = _numpy_dtype(cupy, dtype, like)
        return lambda near: cupy.empty(shape, cupy_kind)
    if device_of(like) != "cpu":
        refusal = bad(f"{name} was not given, and tensors of {library} on {device_of(like)} cannot be made here", "torch and cupy on CUDA",
                      f"pass {'out' if name in ('o', 'block_indices') else name}=")

        def refuse(near):
            raise refusal
        return refuse
    import numpy
    numpy_kind = _numpy_dtype(numpy, dtype, like)
    return lambda near: numpy.empty(shape, numpy_kind)


def prefix_sums(values: list[int], like, name: str):
    """An i32 tensor of `values` in `like`'s library and on its device."""
    torch = torch_of(like)
    if torch is not None:
        return torch.tensor(values, dtype=torch.int32, device=like.device)
    if library_of(like, name) == "cupy":
        import cupy
        return cupy.asarray(values, dtype=cupy.int32)
    if device_of(like) != "cpu":
        raise bad(f"{name} was not given, and tensors on {device_of(like)} cannot be made here", "torch and cupy on CUDA", f"pass {name}=")
    import numpy
    return numpy.asarray(values, dtype=numpy.int32)


# ---- Streams ----

def current_stream(tensor, index: int) -> int:
    """The stream on which the tensor's library works on cuda:`index` now; 0, the default stream, for libraries without one."""
    table = exchange_of(type(tensor))
    if table is not None:
        return table.current_stream(index)
    torch = torch_of(tensor)
    if torch is not None:
        return torch.cuda.current_stream(index).cuda_stream
    if type(tensor).__module__.startswith("cupy"):
        import cupy
        return cupy.cuda.get_current_stream().ptr
    return 0


def stream_handle(stream) -> int:
    """The CUstream of an int, a torch.cuda.Stream, a cupy.cuda.Stream, or an object with __cuda_stream__."""
    if isinstance(stream, int):
        return stream
    for attribute in ("cuda_stream", "ptr", "handle"):
        handle = getattr(stream, attribute, None)
        if handle is not None:
            return int(handle)
    if hasattr(stream, "__cuda_stream__"):
        return int(stream.__cuda_stream__()[1])
    raise bad(f"stream is a {type(stream).__name__}", "an integer handle, a torch.cuda.Stream, a cupy.cuda.Stream")


def allocating_on(stream, like):
    """A context in which like's library allocates for `stream`, so that its memory is not reused while kernels there run."""
    torch = torch_of(like)
    if stream is None or torch is None or like.device.type != "cuda":
        return contextlib.nullcontext()
    if not isinstance(stream, torch.cuda.Stream):
        stream = torch.cuda.ExternalStream(stream_handle(stream), device=like.device)
    return torch.cuda.stream(stream)


# ---- Workspaces ----

class _Scratch(threading.local):
    """Host memory for workspaces, one piece per thread: a CPU forward is done when it returns."""
    memory = None
    address = 0
    size = 0

    def get(self, size: int) -> int:
        if size > self.size:
            self.memory = (ctypes.c_char * (size + 256))()
            self.address = (ctypes.addressof(self.memory) + 255) // 256 * 256
            self.size = size
        return self.address


scratch = _Scratch()


def workspace_memory(workspace) -> tuple[int, int, str]:
    """Address, bytes and device of a tensor that serves as workspace."""
    torch = torch_of(workspace)
    if torch is not None:
        if not workspace.is_contiguous():
            raise bad("workspace is not contiguous", "a contiguous tensor of bytes")
        return workspace.data_ptr(), workspace.numel() * workspace.element_size(), device_of(workspace)
    library_of(workspace, "workspace")
    capsule, address = export(workspace, "workspace", written=True, stream=None)
    view = c.DLTensor.from_address(address)
    count = packed = 1
    for i in reversed(range(view.ndim)):
        if view.strides and view.shape[i] > 1 and view.strides[i] != packed:
            raise bad("workspace is not contiguous", "a contiguous tensor of bytes")
        packed *= view.shape[i]
        count *= view.shape[i]
    del capsule
    return (view.data or 0) + view.byte_offset, count * (view.dtype.bits * view.dtype.lanes + 7) // 8, device_of(workspace)


# ---- Addresses ----

def export(tensor, name: str, written: bool, stream):
    """A DLPack capsule of `tensor`, to be kept while its memory is used, and the address of the DLTensor in it.

    The capsule is not consumed: it frees itself. stream: for CUDA tensors of other libraries than torch, the stream that the work
    is for, so that the library makes it wait for its own.
    """
    if written and type(tensor).__module__.startswith("jax"):
        raise bad(f"{name} is an array of jax, which is immutable", "arrays that can be written", f"leave {name} out on the CPU, or pass another library's")
    try:
        if stream is None or _is_on_the_host(tensor):  # host libraries know no streams
            capsule = tensor.__dlpack__()
        else:
            capsule = tensor.__dlpack__(stream=stream)
    except AttributeError:
        library_of(tensor, name)
        raise
    except BufferError as reason:
        return _export_unusual(tensor, name, written, reason)
    return capsule, _capsule_pointer(capsule, b"dltensor")


def _is_on_the_host(tensor) -> bool:
    return int(tensor.__dlpack_device__()[0]) in (CPU, CUDA_HOST)


def _export_unusual(tensor, name: str, written: bool, reason: BufferError):
    """Read-only arrays, and numpy's bfloat16, which its __dlpack__ does not know."""
    if dtype_name(tensor) == "bf16" and type(tensor).__module__.partition(".")[0] == "numpy":
        import numpy
        # The same memory as 16-bit integers; the strides in elements stay. The name of the type is put right afterwards.
        capsule, address = export(tensor.view(numpy.uint16), name, written, None)
        c.DLTensor.from_address(address).dtype = c.DLDataType(*DTYPES["bf16"], 1)
        return capsule, address
    flags = getattr(tensor, "flags", None)
    if written or getattr(flags, "writeable", True):
        raise bad(f"{name} cannot be used: {reason}", "arrays that can be written" if written else "arrays of bf16, f16, f32 or i32") from None
    try:
        capsule = tensor.__dlpack__(max_version=(1, 0))
        return capsule, _capsule_pointer(capsule, b"dltensor_versioned") + _VERSIONED_TENSOR
    except (TypeError, BufferError, ValueError):
        capsule, address = export(tensor.copy(), name, written, None)
        return capsule, address
