"""The numbers of a network in an ONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnxscript import OpBuilder, ir


def add_parameter(op: OpBuilder, name: str, values: NDArray[Any]) -> ir.Value:
    """A tensor of a network, under a name that it has once: what looks twice has the same numbers."""
    from onnxscript import ir

    known = op.builder.root.graph.initializers.get(name)
    return op.initializer(ir.tensor(values, name=name)) if known is None else known
