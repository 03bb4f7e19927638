"""Where the boxes of a picture stand: in layers, users above their sources, near what they are joined with.

Layers from the lowest user down, order by the mean place of neighbours, places by isotonic regression: as near to the neighbours
as boxes that do not overlap can be (pool adjacent violators; R. E. Barlow et al., Statistical Inference under Order
Restrictions, 1972).
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from clients.bosctl.graph.picture import Picture

SWEEPS = 12


@dataclass(frozen=True, slots=True)
class Layout:
    """The layer of each key from the top, 0 first, its centre across, and for each use the keys it passes, upper first.

    Keys that are in no picture are bends: a line that spans layers passes one in each of them.
    """

    layers: tuple[tuple[str, ...], ...]
    centres: Mapping[str, float]
    paths: tuple[tuple[str, ...], ...]


def layout_of(picture: Picture, width_of: Callable[[str], float], gap: float) -> Layout:
    """Return where everything stands; `width_of` a bend is asked for, too. Widths and gap are in the caller's unit."""
    below: dict[str, list[str]] = {key: [] for key in picture.boxes}
    above: dict[str, list[str]] = {key: [] for key in picture.boxes}
    for use in picture.uses:
        below[use.upper].append(use.lower)
        above[use.lower].append(use.upper)
    depths = _depths(above)
    paths = _bend(picture, depths)
    neighbours: dict[str, tuple[list[str], list[str]]] = {key: ([], []) for key in depths}
    for path in paths:
        for upper, lower in itertools.pairwise(path):
            neighbours[lower][0].append(upper)
            neighbours[upper][1].append(lower)
    layers = _ordered(_walk(above, below, paths), depths, neighbours)
    return Layout(layers, _places(layers, neighbours, width_of, gap), paths)


def _depths(above: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return each key's layer: one below its lowest user; free ones stand at the top."""
    depths: dict[str, int] = {}
    stack = list(above)
    while stack:
        key = stack[-1]
        waiting = [user for user in above[key] if user not in depths]
        if waiting:
            stack += waiting
            continue
        stack.pop()
        depths[key] = 1 + max((depths[user] for user in above[key]), default=-1)
    return depths


def _bend(picture: Picture, depths: dict[str, int]) -> tuple[tuple[str, ...], ...]:
    """Give each use that spans layers a bend in each of them; return the paths."""
    paths = []
    for number, use in enumerate(picture.uses):
        bends = []
        for depth in range(depths[use.upper] + 1, depths[use.lower]):
            bend = f"//{number}/{depth}"
            depths[bend] = depth
            bends.append(bend)
        paths.append((use.upper, *bends, use.lower))
    return tuple(paths)


def _walk(above: Mapping[str, Sequence[str]], below: Mapping[str, Sequence[str]], paths: Sequence[tuple[str, ...]]) -> list[str]:
    """Return all keys, depth first from the free ones, so that what belongs together begins together."""
    bends: dict[str, list[str]] = {}
    for path in paths:
        bends.setdefault(path[0], []).extend(path[1:-1])
    order: dict[str, None] = {}
    stack = [key for key in reversed(list(above)) if not above[key]]
    while stack:
        key = stack.pop()
        if key not in order:
            order[key] = None
            order.update(dict.fromkeys(bends.get(key, ())))
            stack += reversed(below[key])
    return list(order)


Neighbours = Mapping[str, tuple[list[str], list[str]]]


def _ordered(keys: Sequence[str], depths: Mapping[str, int], neighbours: Neighbours) -> tuple[tuple[str, ...], ...]:
    layers: list[list[str]] = [[] for _ in range(1 + max(depths.values(), default=-1))]
    for key in keys:
        layers[depths[key]].append(key)
    for sweep in range(SWEEPS):
        side = sweep % 2
        for layer in layers if side == 0 else reversed(layers):
            places = {key: place for other in layers for place, key in enumerate(other)}
            means = {key: _mean([places[each] for each in neighbours[key][side]], places[key]) for key in layer}
            layer.sort(key=means.__getitem__)
    return tuple(map(tuple, layers))


def _places(
    layers: Sequence[Sequence[str]], neighbours: Neighbours, width_of: Callable[[str], float], gap: float
) -> dict[str, float]:
    """Return centres; each layer is moved towards its neighbours, down and up in turn."""
    centres: dict[str, float] = {}
    for layer in layers:
        centres.update(zip(layer, _apart([0.0] * len(layer), list(map(width_of, layer)), gap), strict=True))
    for sweep in range(SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            sides = (0,) if sweep % 2 == 0 else (1,)
            wanted = [_mean([centres[each] for side in sides for each in neighbours[key][side]], centres[key]) for key in layer]
            centres.update(zip(layer, _apart(wanted, list(map(width_of, layer)), gap), strict=True))
    left = min((centre - width_of(key) / 2.0 for key, centre in centres.items()), default=0.0)
    return {key: centre - left for key, centre in centres.items()}


def _apart(wanted: Sequence[float], widths: Sequence[float], gap: float) -> list[float]:
    """Return the centres nearest to those wanted (least squares) at which boxes in this order do not overlap."""
    offsets = [0.0]
    for left, right in itertools.pairwise(widths):
        offsets.append(offsets[-1] + (left + right) / 2.0 + gap)
    pools: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=False):
        total, count = want - offset, 1
        while pools and pools[-1][0] * count >= total * pools[-1][1]:
            before, number = pools.pop()
            total, count = total + before, count + number
        pools.append((total, count))
    level = [total / count for total, count in pools for _ in range(count)]
    return [each + offset for each, offset in zip(level, offsets, strict=False)]


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
