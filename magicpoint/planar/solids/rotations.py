"""Rotations: evenly through all, about the line of sight, how far apart two are, and those that change nothing."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.random import Generator

from ...data.scenes3d.camera import Floats
from .solid import Solid, view

_PHI, _PSI = np.sqrt(2.0), 1.533751168755204288118041

ALIKE = 2.0
"""Mean difference in grey levels up to which two drawn views are the same."""

_PROBES, _PROBE_SIDE = 4, 48


def from_quaternions(quaternions: Floats) -> Floats:
    """Rotation matrices (N, 3, 3) of unit quaternions (N, 4), (x, y, z, w)."""
    x, y, z, w = quaternions.T
    rows = [
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    ]
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def spread_rotations(count: int) -> Floats:
    """So many rotations (N, 3, 3) spread evenly through all (Alexa, Super-Fibonacci Spirals, CVPR 2022)."""
    s = np.arange(count) + 0.5
    inner, outer = np.sqrt(s / count), np.sqrt(1 - s / count)
    alpha, beta = 2 * np.pi * s / _PHI, 2 * np.pi * s / _PSI
    parts = inner * np.sin(alpha), inner * np.cos(alpha), outer * np.sin(beta), outer * np.cos(beta)
    return from_quaternions(np.stack(parts, axis=1))


def random_rotation(rng: Generator) -> Floats:
    """Any rotation (3, 3), each as likely."""
    drawn = rng.standard_normal(4)
    rotation: Floats = from_quaternions((drawn / np.linalg.norm(drawn))[None])[0]
    return rotation


def in_plane(angles: Floats) -> Floats:
    """Rotations (N, 3, 3) about the line of sight by angles (N,) in degrees, clockwise as one looks."""
    cosine, sine = np.cos(np.radians(angles)), np.sin(np.radians(angles))
    turned = np.zeros((len(angles), 3, 3))
    turned[:, 0, 0], turned[:, 0, 1], turned[:, 1, 0], turned[:, 1, 1] = cosine, -sine, sine, cosine
    turned[:, 2, 2] = 1.0
    return turned


def about(line: Floats, angle: float) -> Floats:
    """The rotation (3, 3) about a line (3,) by an angle in degrees."""
    half = np.radians(angle) / 2
    quaternion = np.append(np.sin(half) * line / np.linalg.norm(line), np.cos(half))
    rotation: Floats = from_quaternions(quaternion[None])[0]
    return rotation


def angles_between(rotations: Floats, rotation: Floats) -> Floats:
    """The angles (N,) in degrees, from 0 to 180, by which rotations (N, 3, 3) differ from one (3, 3)."""
    traces = np.einsum("nij,ij->n", rotations, rotation)
    return np.asarray(np.degrees(np.arccos(np.clip((traces - 1) / 2, -1.0, 1.0))))


def symmetries(solid: Solid) -> Floats:
    """The rotations (K, 3, 3) of a cube after which a solid looks the same from everywhere, the identity first."""
    probes = spread_rotations(_PROBES)
    seen = [view(solid, probe, _PROBE_SIDE)[0].astype(np.float64) for probe in probes]
    kept = []
    for group in _cube_rotations():
        turned = (view(solid, probe @ group, _PROBE_SIDE)[0] for probe in probes)
        if all(np.abs(one - other).mean() <= ALIKE for one, other in zip(seen, turned, strict=True)):
            kept.append(group)
    return np.array(kept)


def _cube_rotations() -> list[Floats]:
    """The 24 rotations that take a cube to itself, the identity first."""
    found = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = np.eye(3)[list(order)] * np.array(signs)[:, None]
            if np.linalg.det(matrix) > 0:
                found.append(matrix)
    return found


def error(found: Floats, truth: Floats, alike: Floats) -> float:
    """The angle in degrees between two orientations (3, 3), that of the nearest of those that look like the truth."""
    return float(angles_between(truth @ alike, found).min())
