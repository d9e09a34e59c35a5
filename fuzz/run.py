"""Fuzzes a reader: `python fuzz/run.py TARGET --seconds 60`, from the folder of the project.

With atheris (the extra fuzz, for Linux and macOS) it is guided by the coverage of the project's own code; without it,
bytes of whole files are changed at random. A finding is kept as a file in `runs/fuzz/TARGET`, and named. What was found
stands in `fuzz/README.md`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

if atheris is None:
    from targets import REFUSALS, TARGETS
else:
    with atheris.instrument_imports(include=["magicpoint", "synthetic_shapes"]):
        from targets import REFUSALS, TARGETS

KEPT = Path("runs/fuzz")


def refusing(read: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """A reader whose refusals are no findings, but ones of many lines are."""

    def call(data: bytes) -> None:
        try:
            read(data)
        except REFUSALS as error:
            if len(str(error).splitlines()) != 1:
                raise AssertionError(f"more than one line: {error}") from error

    return call


def changed(data: bytes, rng: random.Random) -> bytes:
    """Some bytes more, fewer or others."""
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place = rng.randrange(len(content) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            del content[place : place + rng.choice((1, 2, 4, 64))]
        elif kind == 1:
            content[place:place] = rng.randbytes(rng.choice((1, 2, 4, 64)))
        elif kind == 2:
            content[place : place + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"nan "))
        elif kind == 3 and content:
            source = rng.randrange(len(content))
            content[place:place] = content[source : source + 16]
        elif place < len(content):
            content[place] ^= 1 << rng.randrange(8)
    return bytes(content)


def by_chance(read: Callable[[bytes], None], seeds: list[bytes], seconds: float, folder: Path) -> int:
    """The mutation loop for where there is no atheris; the number of executions."""
    rng, ends, count = random.Random(0), time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        data = changed(rng.choice(seeds), rng)
        count += 1
        try:
            read(data)
        except Exception:
            finding = folder / f"finding-{count}"
            finding.write_bytes(data)
            print(f"finding: {finding}", file=sys.stderr)
            raise
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    target = TARGETS[arguments.target]
    folder = KEPT / arguments.target
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = list(target.seeds())
    for number, seed in enumerate(seeds):
        refusing(target.read)(seed)
        (corpus / f"seed-{number}").write_bytes(seed)
    if atheris is None:
        print(f"{by_chance(refusing(target.read), seeds, arguments.seconds, folder)} executions, by chance")
        return
    words = [f"-max_total_time={arguments.seconds}", f"-artifact_prefix={folder}/", "-timeout=30", "-rss_limit_mb=4096"]
    words += ["-max_len=65536", "-print_final_stats=1", str(corpus)]
    atheris.Setup([sys.argv[0], *words], refusing(target.read))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
