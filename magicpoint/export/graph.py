"""Networks for other programs: ONNX files of the dense maps, or of everything from the image to keypoints.

The graphs are written operator by operator, so they do not change with torch's own exporter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto


def import_onnxruntime() -> ModuleType:
    """ONNX Runtime, or an ImportError that says how to get it."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError("this needs ONNX Runtime: pip install 'magicpoint[onnx]'") from error
    module: ModuleType = onnxruntime
    return module


OPSET = 17
"""What every runtime of the last years knows: GridSample came with 16, and 18 changed operators that are used here."""

_IR_VERSION = 8  # the file format of that opset

Shape = tuple[str, Sequence[str | int]]
"""A type's name and the sizes; a size that is a word may change from call to call."""

Shapes = Mapping[str, Shape]
"""By the names of the inputs or outputs."""


def import_onnx() -> ModuleType:
    """The onnx package, or an ImportError that says how to get it."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError("this needs onnx: pip install 'magicpoint[onnx]'") from error
    module: ModuleType = onnx
    return module


class Graph:
    """A graph that grows with each call: ``y = graph("Relu", x)`` adds an operator and returns its output's name.

    Args:
        prefix: Of the names of values; a graph within another needs its own.
    """

    def __init__(self, prefix: str = "") -> None:
        self._onnx = import_onnx()
        self._prefix = prefix
        self._nodes: list[Any] = []
        self._tensors: dict[str, Any] = {}
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def __call__(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Adds an operator; returns the name of its output, or a list of names if it has several."""
        number = len(self._nodes)
        names = [f"{self._prefix}{operator}_{number}" + (f"_{i}" if i else "") for i in range(outputs)]
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def tensor(self, values: NDArray[Any] | np.generic) -> str:
        """A constant; the same one again has the same name."""
        array = np.asarray(values, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            name = f"{self._prefix}tensor_{len(self._tensors)}"
            self._tensors[name] = self._onnx.numpy_helper.from_array(array, name)
            self._known[key] = name
        return self._known[key]

    def whole(self, *values: int) -> str:
        """A constant int64 (N,)."""
        return self.tensor(np.array(values, np.int64))

    def number(self, value: float) -> str:
        """A constant float32 without dimensions."""
        return self.tensor(np.float32(value))

    def name(self, value: str, output: str) -> None:
        """Gives a value the name of an output."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [value], [output]))

    def as_body(self, inputs: Shapes, outputs: Shapes) -> GraphProto:
        """The graph as an attribute of an operator of another."""
        helper, types = self._onnx.helper, self._onnx.TensorProto

        def infos(shapes: Shapes) -> list[Any]:
            return [
                helper.make_tensor_value_info(name, getattr(types, kind.upper()), shape)
                for name, (kind, shape) in shapes.items()
            ]

        tensors = list(self._tensors.values())
        body: GraphProto = helper.make_graph(self._nodes, "magicpoint", infos(inputs), infos(outputs), tensors)
        return body

    def finish(self, inputs: Shapes, outputs: Shapes, description: dict[str, str]) -> ModelProto:
        """The model, with a description in its metadata."""
        helper = self._onnx.helper
        model: ModelProto = helper.make_model(
            self.as_body(inputs, outputs),
            producer_name="magicpoint",
            ir_version=_IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        helper.set_model_props(model, description)
        return model
