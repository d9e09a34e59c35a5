"""An evaluation on image pairs by several processes: the file of each, and the report that they are together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from ..core.files import AnyPath, write_text
from ..core.outputs import claimed
from ..core.plain import json_text
from ..core.shards import Shard
from ..data.hpatches import PairSequence
from ..evaluation.outputs import hashes_in, is_report_on
from ..evaluation.pairs.json_file import PAIRS_JSON
from ..evaluation.pairs.report import claimed_pairs_report, write_pairs_report
from ..evaluation.pairs.results import PairsEvaluation
from ..evaluation.pairs.shares import PairsShare, join_shares, read_share, share_as_plain
from ..io.record_shards import find_json_shards

KIND = "a share of an evaluation of these networks"


def evaluate_share(
    sequences: Sequence[PairSequence],
    evaluate: Callable[[Sequence[PairSequence]], PairsEvaluation],
    out: AnyPath | None,
    shard: Shard,
    weights: Collection[str],
) -> PairsEvaluation:
    """Evaluate on the scenes of a share, and write that to a file in a folder.

    Args:
        sequences: Of the whole dataset.
        evaluate: Does it on some of them.
        out: The folder; None writes nothing.
        shard: Which share.
        weights: Hashes of the networks. A share of others is not replaced.

    Raises:
        OSError: The file cannot be written.
        InputError: Something else is there, or another process is writing it; or as `evaluate`.
    """
    own = [sequence for sequence in sequences if shard.has(sequence.name)]
    if out is None:
        return evaluate(own)
    path = Path(out) / shard.name(PAIRS_JSON)
    with claimed(path, KIND, lambda path: is_report_on(path.read_bytes(), ("scenes", "sequences"), weights)):
        evaluation = evaluate(own)
        share = PairsShare(tuple(sequence.name for sequence in sequences), evaluation)
        write_text(path, json_text(share_as_plain(share)))
    return evaluation


def has_shares(folder: AnyPath) -> bool:
    """Whether there are shares of an evaluation in a folder.

    Raises:
        InputError: There are several sets of them.
    """
    return find_json_shards(folder, PAIRS_JSON) is not None


def merge_evaluation(folder: AnyPath, out: AnyPath) -> PairsEvaluation:
    """Join the shares of an evaluation on image pairs to the report that a single process would have written.

    Args:
        folder: Of the shares.
        out: See `evaluate_pairs`; it may be the same folder.

    Raises:
        FileNotFoundError: There are no shares.
        OSError: A file cannot be read or written.
        InputError: A share is missing, damaged, or was made of other scenes or with other weights, settings or
            versions than its neighbours, which are both named; or something else than a report on these networks is in
            the folder.
    """
    files = find_json_shards(folder, PAIRS_JSON)
    if files is None:
        raise FileNotFoundError(f"no shares of an evaluation in {folder}: homography-00000-of-00002.json and so on")
    files.check_complete("make them first")
    shares = [(path, read_share(path, Shard(number, files.count))) for number, path in sorted(files.files.items())]
    evaluation = join_shares(shares)
    weights = hashes_in(json_text(evaluation.methods).encode())
    with claimed_pairs_report(out, evaluation.protocols, weights):
        write_pairs_report(evaluation, out)
    return evaluation
