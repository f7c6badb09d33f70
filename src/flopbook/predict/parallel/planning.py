"""Plan a run: what a step takes on a mesh of a cluster, and which meshes fit and are fast.

Time is that of two roofs: products at the peak of a device, and collectives at the rate of the links that a ring of
them goes over. Whoever has to wait for a collective is exposed to it; what else there is to do hides it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from math import inf, prod

from flopbook import checks
from flopbook.checks import one_of, positive, quoted, size
from flopbook.devices import find_device, find_peak
from flopbook.predict.parallel.pipelines import bubble
from flopbook.predict.parallel.ranks import Mesh, RankOfMesh, Training, rank_of_mesh, sizes_of_decoder, trained
from flopbook.units import si

__all__ = ["Cluster", "Planned", "plan", "search"]

#: Ranks that lie along the first axes are neighbours.
_ORDER = ("tensor", "context", "expert", "pipeline", "data")
_PHASES = ("forward", "recomputed", "backward", "optimizer")
#: What goes in rings: the ranks of a node share their networks in it.
_RINGS = {"all-reduce", "all-gather", "reduce-scatter"}
_CHECKPOINTS = ("none", "selective", "full")
#: What a search tries, at the most.
_MOST = 20_000


@dataclass(frozen=True)
class Cluster:
    """Describes equal devices in equal nodes.

    Attributes
    ----------
    devices : int
        How many there are.
    device : str
        A name in `flopbook.devices.DEVICES`.
    node : int
        Devices whose links join all of them.
    between_bytes_per_s : float
        What a device sends to other nodes, in one direction: 50 GB/s are 400 Gbit/s.
    dtype : str
        The format of products' operands, such as ``bf16``.
    efficiency : float
        The share of the peak that products reach while nothing holds them up.

    Raises
    ------
    TypeError, ValueError
        If the device or its format is not known, or a number is out of range; quotes it.

    Examples
    --------
    >>> cluster = Cluster(16384)
    >>> cluster.peak, cluster.bytes_per_s(8), cluster.bytes_per_s(16), cluster.bytes_per_s(16, in_node=8)
    (989400000000000.0, 450000000000.0, 50000000000.0, 400000000000.0)
    """

    devices: int
    device: str = "H100 SXM"
    node: int = 8
    between_bytes_per_s: float = 50e9
    dtype: str = "bf16"
    efficiency: float = 1

    def __post_init__(self):
        size("devices", self.devices)
        size("node", self.node)
        find_peak(self.device, self.dtype)
        positive("between_bytes_per_s", self.between_bytes_per_s)
        positive("efficiency", self.efficiency)
        if self.efficiency > 1:
            raise ValueError(f"efficiency={quoted(self.efficiency)} is more than the peak: write a share of at most 1")
        if self.node > 1 and find_device(self.device).link_bytes_per_s is None:
            raise ValueError(f"device={quoted(self.device)} has no links on its data sheet: write node=1")

    @property
    def peak(self) -> float:
        """Return the dense peak of a device, in FLOP/s."""
        return find_peak(self.device, self.dtype)

    @property
    def memory(self) -> int:
        """Return the bytes that a device can hold."""
        return find_device(self.device).memory_bytes

    def bytes_per_s(self, span: int, in_node: int = 1) -> float:
        """Return what a device sends, in one direction, to others of so many neighbours.

        Parameters
        ----------
        span : int
            How many neighbouring devices they are among.
        in_node : int
            How many of them share a node. As many rings then leave it side by side, each over another one's network.

        Examples
        --------
        >>> Cluster(16, between_bytes_per_s=25e9).bytes_per_s(16, in_node=4)
        100000000000.0
        """
        links = find_device(self.device).link_bytes_per_s
        inside = inf if links is None else links / 2
        return inside if links is not None and span <= self.node else min(inside, in_node * self.between_bytes_per_s)


@dataclass(frozen=True)
class Planned:
    """Holds what a step takes, made by :func:`plan`.

    Attributes
    ----------
    mesh, training, cluster : Mesh, Training, Cluster
        What was planned.
    ranks : tuple of RankOfMesh
        One of the first stage, of the first one with the most blocks, and of the last.
    model_flops : int
        FLOPs of the whole step on all devices, without what runs again.
    compute : float
        Seconds of products on the slowest stage.
    exposed, hidden : mapping of str to float
        Seconds of collectives along each axis, for which that stage waits, and which go by behind other work.
    bubble : Fraction
        The share of the pipeline's time in which a stage waits for others.
    """

    mesh: Mesh
    training: Training
    cluster: Cluster
    ranks: tuple[RankOfMesh, ...]
    model_flops: int
    compute: float
    exposed: Mapping[str, float]
    hidden: Mapping[str, float]
    bubble: Fraction

    @property
    def waiting(self) -> float:
        """Return the seconds of the bubble."""
        busy = self.compute + sum(seconds for axis, seconds in self.exposed.items() if axis != "data")
        return float(busy * self.bubble / (1 - self.bubble))

    @property
    def seconds(self) -> float:
        """Return the seconds of a step."""
        return self.compute + sum(self.exposed.values()) + self.waiting

    @property
    def mfu(self) -> float:
        """Return the model FLOPs utilization."""
        return self.model_flops / (self.cluster.devices * self.cluster.peak * self.seconds)

    @property
    def memory(self) -> int:
        """Return the bytes that the fullest rank holds."""
        return max(int(one.held.total) for one in self.ranks)

    @property
    def short(self) -> int:
        """Return the bytes that do not fit."""
        return max(0, self.memory - self.cluster.memory)

    def __repr__(self):
        return (
            f"{self.mesh}; checkpoints {self.training.checkpoints}, ZeRO {self.training.zero}, chunks "
            f"{self.training.chunks}: {si(self.memory, 'B')} on a rank, {self.seconds:.3g} s a step, "
            f"bubble {float(self.bubble):.1%}, MFU {self.mfu:.1%}"
        )


def plan(
    sizes: Mapping[str, int], mesh: Mesh, cluster: Cluster | None = None, training: Training | None = None
) -> Planned:
    """Predict what a step of a decoder takes on a mesh.

    Parameters
    ----------
    sizes : mapping of str to int
        As for :func:`flopbook.predict.parallel.ranks.rank_of_mesh`.
    mesh : Mesh
        How many ranks lie along each axis: as many as there are devices.
    cluster : Cluster, optional
        As many H100 as the mesh has ranks, unless told otherwise.
    training : Training, optional
        How it is trained.

    Returns
    -------
    Planned
        Of the stage that takes longest.

    Raises
    ------
    TypeError, ValueError
        If the mesh does not divide a size or has another number of ranks than there are devices; says which.

    Notes
    -----
    A ring runs each collective, at the rate within a node where all of its ranks lie in one, and else at the rate
    between nodes. Products wait for tensor and expert collectives. Keys and values travel behind the scores, a
    micro-batch's results and gathered parameters behind the pass of a micro-batch, and the sum of gradients behind the
    last backward pass; what is longer is exposed. The update, norms and other pointwise work are left out, and so is
    the start of a collective: the time is the least that these roofs allow.

    Examples
    --------
    >>> from flopbook.predict.models import PUBLISHED
    >>> sizes = PUBLISHED["Llama 3 405B"] | dict(B=2048)
    >>> plan(sizes, Mesh(data=128, tensor=8, pipeline=16), training=Training(checkpoints="selective", chunks=8))
    data 128, tensor 8, pipeline 16; checkpoints selective, ZeRO 1, chunks 8: 64.1 GB on a rank, ...
    """
    given = trained(training)
    if not isinstance(mesh, Mesh):
        raise TypeError(f"mesh={quoted(mesh)} is not a mesh: write Mesh(data=8, tensor=8)")
    on = Cluster(mesh.devices) if cluster is None else _cluster(cluster)
    if mesh.devices != on.devices:
        raise ValueError(
            f"the mesh {mesh} has {mesh.devices} ranks, and the cluster {on.devices} devices: give as many"
        )
    known = sizes_of_decoder(sizes)
    ranks = tuple(rank_of_mesh(known, mesh, given, stage) for stage in _stages(known["L"], mesh.pipeline))
    share = bubble(mesh.pipeline, ranks[0].micro_batches, given.chunks)
    timed = [_timed(one, mesh, on, given) for one in ranks]
    compute, exposed, hidden = max(timed, key=lambda each: each[0] + sum(each[1].values()))
    return Planned(
        mesh,
        given,
        on,
        ranks,
        _whole(tuple(sorted(known.items())), given.causal),
        compute,
        exposed,
        hidden,
        Fraction(int(share.p), int(share.q)),
    )


def _stages(layers: int, pipeline: int) -> list[int]:
    """Name the stages that may be the fullest or the slowest."""
    left = layers % pipeline
    middle = (pipeline - left + 1) // 2 if left else pipeline // 2  # it sends both ways
    return sorted({0, middle, pipeline - 1})


@cache
def _whole(sizes: tuple[tuple[str, int], ...], causal: bool) -> int:
    """Count the FLOPs of the model on one device, in one go."""
    alone = rank_of_mesh(dict(sizes), Mesh(), Training(micro=dict(sizes)["B"], causal=causal))
    return alone.forward + alone.backward


def _timed(
    one: RankOfMesh, mesh: Mesh, cluster: Cluster, training: Training
) -> tuple[float, dict[str, float], dict[str, float]]:
    """Return the seconds of products, of exposed and of hidden collectives, in a step of a stage."""
    m, speed = one.micro_batches, cluster.peak * cluster.efficiency
    sent = _sent(one, mesh, cluster)
    forward, again, backward, scores = (
        flops / speed for flops in (one.forward, one.recomputed, one.backward, one.attention)
    )
    # for a micro-batch, in each pass: what goes on anyway, and what may hide behind it
    waits = {axis: sum(sent[axis].values()) for axis in ("tensor", "expert")}
    ring = sent["context"]
    repeats = training.checkpoints == "full"
    waits["context"] = max(0, ring["forward"] - scores) + max(
        0, ring["backward"] + ring["recomputed"] - (2 + repeats) * scores
    )
    ahead = (forward + sent["tensor"]["forward"] + sent["expert"]["forward"]) / m
    back = (again + backward + sum(sent[axis][p] for axis in waits for p in ("recomputed", "backward"))) / m
    data, results = sent["data"], sent["pipeline"]
    waits["pipeline"] = max(0, results["forward"] - m * ahead) + max(0, results["backward"] - m * back)
    each = m if training.zero > 1 else 1  # gradients are summed behind each backward pass, or behind the last one
    waits["data"] = (
        max(0, data["forward"] - m * ahead) + max(0, data["backward"] - each * back) + max(0, data["optimizer"] - ahead)
    )
    hidden = {axis: sum(sent[axis].values()) - waits[axis] for axis in _ORDER}
    return (
        forward + again + backward,
        {axis: waits[axis] for axis in _ORDER if waits[axis]},
        {axis: seconds for axis, seconds in hidden.items() if seconds},
    )


def _sent(one: RankOfMesh, mesh: Mesh, cluster: Cluster) -> dict[str, dict[str, float]]:
    """Return the seconds of a step's collectives along each axis, by phase."""
    found, inner = {}, 1
    for axis in _ORDER:
        ranks = getattr(mesh, axis)
        in_node = min(ranks, max(1, cluster.node // inner))
        seconds = dict.fromkeys(_PHASES, 0.0)
        for transfer in one.transfers.get(axis, ()):
            rings = in_node if transfer.collective in _RINGS else 1
            seconds[transfer.phase] += int(transfer.ring) / cluster.bytes_per_s(inner * ranks, rings)
        inner *= ranks
        found[axis] = seconds
    return found


def search(  # noqa: PLR0913, PLR0917  (as many as can differ)
    sizes: Mapping[str, int],
    cluster: Cluster,
    training: Training | None = None,
    checkpoints: Iterable[str] = _CHECKPOINTS,
    chunks: Iterable[int] = (1, 2, 4, 8),
    fixed: Mapping[str, int] | None = None,
) -> list[Planned]:
    """Find the meshes of a cluster on which a decoder fits, the fastest first.

    Tensor ranks lie within a node. Of the checkpoints, the first that fit are taken for each mesh, since those after
    them take longer.

    Parameters
    ----------
    sizes : mapping of str to int
        As for :func:`flopbook.predict.parallel.ranks.rank_of_mesh`.
    cluster : Cluster
        What there is.
    training : Training, optional
        How it is trained, but for checkpoints and chunks.
    checkpoints : iterable of str
        What may run again, from the least on.
    chunks : iterable of int
        How many pieces of the model a stage may hold.
    fixed : mapping of str to int, optional
        Axes of the mesh that have so many ranks, such as ``{"context": 1}``.

    Raises
    ------
    TypeError, ValueError
        If no mesh divides the sizes, or none fits: says what is short. If there are more than 20,000 to try.

    Examples
    --------
    >>> from flopbook.predict.models import PUBLISHED
    >>> sizes = PUBLISHED["Llama 3 8B"] | dict(B=64)
    >>> search(sizes, Cluster(16))[0]
    data 16; checkpoints selective, ZeRO 1, ...
    >>> search(sizes, Cluster(1))
    Traceback (most recent call last):
    ...
    ValueError: no mesh of 1 devices holds it: one device, with checkpoints full, comes nearest, and lacks ...
    """
    _cluster(cluster)
    given, known = trained(training), sizes_of_decoder(sizes)
    ways = [one_of("checkpoints", each, _CHECKPOINTS) for each in _tried("checkpoints", checkpoints, "['full']")]
    pieces = [size("chunks", each) for each in _tried("chunks", chunks, "[1, 2]")]
    meshes = _meshes_with(_held(fixed, cluster.devices), known, cluster, given)
    if len(meshes) * len(pieces) > _MOST:
        raise ValueError(f"{len(meshes) * len(pieces):,} ways are too many to try: give fewer devices or chunks")
    found, misfits = [], []
    for mesh in meshes:
        m = known["B"] // (mesh.data * mesh.expert * given.micro)
        for several in pieces if mesh.pipeline > 1 else [1]:
            if several > 1 and (m % mesh.pipeline or mesh.pipeline * several > known["L"] + 2):
                continue
            for way in ways:
                one = plan(known, mesh, cluster, replace(given, checkpoints=way, chunks=several))
                if not one.short:
                    found.append(one)
                    break
                misfits.append(one)
    if found:
        return sorted(found, key=lambda one: one.seconds)
    if not misfits:
        raise ValueError(
            f"chunks={quoted(pieces)} suits no mesh, whose stages have too few blocks or do not divide the "
            "micro-batches: write chunks=[1]"
        )
    nearest = min(misfits, key=lambda one: one.short)
    raise ValueError(
        f"no mesh of {cluster.devices} devices holds it: {nearest.mesh}, with checkpoints "
        f"{nearest.training.checkpoints}, comes nearest, and lacks {si(nearest.short, 'B')} beside the "
        f"{si(cluster.memory, 'B')} of a device: give more devices, a higher zero or a shorter T"
    )


def _cluster(given: object) -> Cluster:
    if not isinstance(given, Cluster):
        raise TypeError(f"cluster={quoted(given)} is not a cluster: write Cluster(16384, 'H100 SXM')")
    return given


def _tried(name: str, given: object, example: str) -> tuple[object, ...]:
    """Return what a search tries, at least one."""
    tried = checks.several(name, given, example)
    if not tried:
        raise ValueError(f"{name}={quoted(given)} leaves nothing to try: write {name}={example}")
    return tried


def _held(fixed: object, devices: int) -> dict[str, int]:
    """Return the axes that have so many ranks, and refuse those that the devices cannot have."""
    if fixed is None:
        return {}
    if not isinstance(fixed, Mapping):
        raise TypeError(f"fixed={quoted(fixed)} is not a mapping of axes: write fixed=dict(tensor=8)")
    held = {one_of("axis", axis, _ORDER): size(axis, ranks) for axis, ranks in fixed.items()}
    ranks, wanted = prod(held.values()), "is" if len(held) == len(_ORDER) else "divides"
    if devices % ranks or (wanted == "is" and ranks != devices):
        raise ValueError(
            f"fixed={quoted(held)} fixes {quoted(ranks)} ranks, and the cluster has {devices} devices: "
            f"write ranks whose product {wanted} {devices}"
        )
    return held


def _meshes_with(held: Mapping[str, int], sizes: Mapping[str, int], cluster: Cluster, training: Training) -> list[Mesh]:
    """List the meshes whose axes have as many ranks as is held, and say what is at fault where there are none."""
    every = list(_meshes(sizes, cluster, training))
    if not every:
        raise ValueError(
            f"no mesh of {cluster.devices} devices divides B={sizes['B']}, T={sizes['T']} and the heads: "
            "give a batch with more divisors, or other devices"
        )
    meshes = [mesh for mesh in every if all(getattr(mesh, axis) == held[axis] for axis in held)]
    if not meshes:
        raise ValueError(
            f"fixed={quoted(held)} suits no mesh of {cluster.devices} devices with nodes of {cluster.node} "
            "that divides the sizes: fix fewer axes, or give them other ranks"
        )
    return meshes


def _meshes(sizes: Mapping[str, int], cluster: Cluster, training: Training) -> Iterator[Mesh]:
    """List the meshes that divide all sizes, with tensor ranks in a node and a share of the batch for each copy."""
    n, experts = cluster.devices, sizes.get("X", 1)
    for tensor in _divisors(n, cluster.node):
        if any(sizes[letter] % tensor for letter in "HGFV"):
            continue
        for pipeline in _divisors(n // tensor, sizes["L"]):
            for context in _divisors(n // tensor // pipeline, sizes["T"]):
                if sizes["T"] % (context * (tensor if training.sequence else 1)):
                    continue
                copies = n // tensor // pipeline // context
                if sizes["B"] % (copies * training.micro):
                    continue
                for expert in _divisors(copies, experts):
                    if experts % expert == 0:
                        yield Mesh(copies // expert, tensor, context, pipeline, expert)


def _divisors(whole: int, most: int) -> list[int]:
    return [each for each in range(1, min(whole, most) + 1) if whole % each == 0]
