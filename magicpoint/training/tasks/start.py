"""Where a new network begins that does not begin from nothing."""

from __future__ import annotations

from ...core.errors import InputError
from ...model.named import NamedNetwork
from ...model.network import PointNetwork
from ...model.weights import architecture_of, load_weights, planar_names, resolve, resolve_planar, weights_hash
from ...model.widen import widen


def start_from(network: NamedNetwork, weights: str) -> str:
    """Copies weights, a file, a run's folder or a shipped name, into a network; returns their hash.

    Layers that the weights lack keep their values, and layers that the network lacks are passed over. Weights of a
    narrower `PointNetwork` are widened first (`widen`).

    Args:
        network: A `PointNetwork`, or another that has its encoder, whose settings have a `width`.
        weights: Of a network of the same architecture, or of a `PointNetwork`.

    Raises:
        InputError: There are no such weights, or a layer has another shape.
    """
    path = (resolve_planar if weights in planar_names() else resolve)(weights).path
    if architecture_of(path) == network.architecture != PointNetwork.architecture:
        source: NamedNetwork = load_weights(path, type(network))[0]
        copy_weights(source, network, weights)
    else:
        source, width = load_weights(path)[0], network.settings.width
        copy_weights(widen(source, width) if source.settings.width < width else source, network, weights)
    return weights_hash(source.state_dict())


def copy_weights(source: NamedNetwork, network: NamedNetwork, weights: str) -> None:
    """Copies the layers that a network has, too.

    Args:
        source: It stays as it is.
        network: Layers that the source lacks keep their values.
        weights: What the source is called in messages.

    Raises:
        InputError: A layer has another shape.
    """
    tensors, own = source.state_dict(), network.state_dict()
    unfit = [name for name in own if name in tensors and own[name].shape != tensors[name].shape]
    if unfit:
        raise InputError(
            f"cannot start from {weights}: {unfit[0]} is {tuple(tensors[unfit[0]].shape)} there and "
            f"{tuple(own[unfit[0]].shape)} in a network of {network.settings}"
        )
    network.load_state_dict({name: tensors.get(name, own[name]) for name in own})
