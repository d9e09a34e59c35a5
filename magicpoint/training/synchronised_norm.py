"""BatchNorm over the images of all processes.

`torch.nn.SyncBatchNorm` computes on GPUs alone (torch 2.13). This is its arithmetic by any backend, gloo among them, at
the price of a transfer of each layer's sums forwards and one backwards. In a single process it is a BatchNorm whose
sums have more digits than torch's on a CPU, so that any number of processes takes the same steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function


class _Sum(Function):
    """The sum over all processes. Each output depends on all inputs, so the gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        return _all_reduced(own)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _all_reduced(gradient)


def _all_reduced(own: Tensor) -> Tensor:
    total = own.contiguous().clone()
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(total)
    return total


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose statistics in training are those of the images of all processes."""

    def forward(self, image: Tensor) -> Tensor:
        if not self.training:
            return super().forward(image)
        count = image.numel() // image.shape[1]
        with torch.autocast(image.device.type, enabled=False):
            values = image if image.dtype == torch.float64 else image.float()
            # Of no image the sums are zeros; the others wait for them all the same.
            own_var, own_mean = (
                torch.var_mean(values, (0, 2, 3), correction=0) if count else (values.sum((0, 2, 3)),) * 2
            )
            # In float64: of a mean far from 0 the difference of the squares would lose its digits.
            mean, square = own_mean.double(), own_var.double() + own_mean.double() ** 2
            own = torch.cat((mean.new_tensor([1.0]), mean, square)) * count
            total = _Sum.apply(own)  # type: ignore[no-untyped-call]
            mean, square = (total[1:] / total[0]).chunk(2)
            var = square - mean**2
            self._follow(mean, var, total[0])
            scale = self.weight / (var + self.eps).sqrt().to(values.dtype)
            shift = self.bias - mean.to(values.dtype) * scale
            result: Tensor = (values * scale[:, None, None] + shift[:, None, None]).to(image.dtype)
        return result

    @torch.no_grad()
    def _follow(self, mean: Tensor, var: Tensor, count: Tensor) -> None:
        """Moves the running statistics, as `nn.BatchNorm2d` does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_((var * count / (count - 1).clamp(min=1)).to(self.running_var.dtype), share)


def synchronise_batch_norm(network: nn.Module) -> nn.Module:
    """Lets every BatchNorm of a network take the statistics of all processes; its parameters stay what they are.

    The network is changed, unless it is itself such a layer.
    """
    parameter = next(network.parameters())
    if parameter.device.type == "cuda" and distributed.is_available() and distributed.is_initialized():
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return converted
    for module in list(network.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, nn.BatchNorm2d) and not isinstance(layer, SynchronisedBatchNorm):
                setattr(module, name, _synchronised(layer))
    return network


def _synchronised(layer: nn.BatchNorm2d) -> SynchronisedBatchNorm:
    new = SynchronisedBatchNorm(layer.num_features, layer.eps, layer.momentum)
    new.weight, new.bias = layer.weight, layer.bias
    new.running_mean, new.running_var = layer.running_mean, layer.running_var
    new.num_batches_tracked = layer.num_batches_tracked
    return new.train(layer.training)
