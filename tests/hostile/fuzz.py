"""The long run: `python -m tests.hostile.fuzz --inputs 10000000`. By coverage (libFuzzer through Atheris) where that is installed.

Each target runs in a process of its own, a stated number of inputs from a stated seed. An input that raises what its parser does
not declare, or takes more than a second of processor time, ends its target and is kept in tests/hostile/corpus, where the short run
of the test suite takes it up for good. Memory is read while it runs; what it gained in the second half is told.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
LONGEST_SECONDS = 1.0  # of processor time, for one input: time on the clock says more about the machine's other work
MOST_GROWTH = 64  # MB in the second half of a run, the fuzzer's own corpus included


def resident() -> float:
    """Megabytes of memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


class Watched:
    """A target that is watched: counts inputs, their time and the memory, and keeps what fails."""

    def __init__(self, name: str, inputs: int, out: Path | None) -> None:
        from tests.hostile.parsers import TARGETS  # noqa: PLC0415  # after the modules to be covered were instrumented

        self.name, self.inputs, self.out = name, inputs, out
        self.run = TARGETS[name].run
        self.done, self.slowest, self.memory = 0, 0.0, []
        self.begun = time.monotonic()

    def __call__(self, data: bytes) -> None:
        before = time.process_time()
        try:
            self.run(data)
            took = time.process_time() - before
            if took > LONGEST_SECONDS:
                raise TimeoutError(f"{took:.1f} s of processor time")
        except Exception as error:
            self.keep(data, error)
            raise
        self.slowest = max(self.slowest, took)
        self.done += 1
        if self.done % max(self.inputs // 50, 1) == 0 or self.done == self.inputs:
            self.memory.append(round(resident(), 1))
            self.tell()

    def keep(self, data: bytes, error: Exception) -> None:
        """Write the input where the test suite finds it."""
        folder = CORPUS / self.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / sha256(data).hexdigest()[:12]).write_bytes(data)
        self.tell(f"{type(error).__name__}: {error}"[:300])

    def tell(self, fault: str = "") -> None:
        """Write how far it is."""
        if self.out is not None:
            said = {
                "target": self.name, "inputs": self.done, "seconds": round(time.monotonic() - self.begun), "fault": fault,
                "slowest": round(self.slowest, 3), "memory": self.memory,
            }  # fmt: skip
            self.out.write_text(json.dumps(said))


def _guided(name: str, inputs: int, seed: int, out: Path) -> None:
    """Run one target under libFuzzer; ends the process."""
    import atheris  # noqa: PLC0415  # installed by `make fuzz` beside the project, not into it

    with atheris.instrument_imports(include=["earlywarning", "tomllib", "itsdangerous"]):
        watched = Watched(name, inputs, out)
    from tests.hostile.mutation import LONGEST, mutated  # noqa: PLC0415
    from tests.hostile.parsers import TARGETS  # noqa: PLC0415

    target = TARGETS[name]
    kept = out.parent / f"corpus-{name}"
    kept.mkdir(exist_ok=True)
    for number, data in enumerate(target.seeds):
        (kept / f"seed-{number}").write_bytes(data)

    def change(data: bytes, longest: int, number: int) -> bytes:
        # By turns: what knows the form, and libFuzzer's own, which knows what the code compared the input with.
        return mutated(data, target.form, random.Random(number))[:longest] if number % 3 else atheris.Mutate(data, longest)

    arguments = [
        sys.argv[0], f"-runs={inputs}", f"-seed={seed}", f"-max_len={LONGEST}", "-timeout=60", "-rss_limit_mb=2048", "-verbosity=0",
        f"-artifact_prefix={out.parent}/{name}-", str(kept),
    ]  # fmt: skip
    atheris.Setup(arguments, watched, custom_mutator=change)
    atheris.Fuzz()


def blind(name: str, inputs: int, seed: int = 1, out: Path | None = None) -> Watched:
    """Run one target by the mutator alone, from its seeds and from what once failed: the same seed, the same inputs."""
    from tests.hostile.mutation import mutated  # noqa: PLC0415
    from tests.hostile.parsers import TARGETS  # noqa: PLC0415

    target, watched = TARGETS[name], Watched(name, inputs, out)
    rng = random.Random(f"{name} {seed}")
    pool = [*target.seeds, *(file.read_bytes() for file in sorted((CORPUS / name).glob("*")))]
    for data in pool:
        watched.run(data)
    grown = list(pool)
    for _ in range(inputs):
        data = mutated(rng.choice(grown), target.form, rng)
        watched(data)
        if rng.random() < 0.02:
            grown = [*grown, data] if len(grown) < 200 else [*pool, data]
    return watched


def _share(inputs: int, seed: int, processes: int, only: list[str], out: Path, *, guided: bool) -> int:
    from tests.hostile.parsers import TARGETS  # noqa: PLC0415

    chosen = {n: t for n, t in TARGETS.items() if not only or n in only}
    weights = sum(t.weight for t in chosen.values())

    def one(name: str) -> dict[str, object]:
        share = -(-inputs * chosen[name].weight // weights)
        file = out / f"{name}.json"
        command = [
            sys.executable,
            "-m",
            "tests.hostile.fuzz",
            "--one",
            name,
            "--inputs",
            str(share),
            "--seed",
            str(seed),
            "--out",
            str(out),
        ]
        command += [] if guided else ["--blind"]
        with (out / f"{name}.log").open("wb") as log:
            code = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
        said: dict[str, object] = json.loads(file.read_text()) if file.exists() else {"target": name, "inputs": 0, "memory": []}
        memory = said["memory"] if isinstance(said["memory"], list) else []
        said["growth"] = round(memory[-1] - memory[len(memory) // 2], 1) if memory else 0.0
        said["asked"], said["code"] = share, code
        grew = float(str(said["growth"])) > MOST_GROWTH
        said["well"] = code == 0 and not said.get("fault") and not grew
        print(json.dumps(said, sort_keys=True), flush=True)
        return said

    with ThreadPoolExecutor(processes) as pool:
        told = list(pool.map(one, chosen))
    total = sum(int(str(t["inputs"])) for t in told)
    bad = [t["target"] for t in told if not t["well"]]
    how = "guided by coverage" if guided else "by the mutator alone"
    print(f"{total} inputs {how}, {len(told)} targets, seed {seed}; not well: {', '.join(map(str, bad)) or 'none'}")
    return 1 if bad else 0


def main() -> int:
    """The command."""
    say = argparse.ArgumentParser(description=__doc__)
    say.add_argument("--inputs", type=int, default=10_000_000)
    say.add_argument("--seed", type=int, default=1)
    say.add_argument("--processes", type=int, default=min(os.cpu_count() or 1, 2))
    say.add_argument("--out", type=Path, default=Path("fuzz"))
    say.add_argument("--one", default="")
    say.add_argument("--blind", action="store_true")
    say.add_argument("targets", nargs="*")
    given = say.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if not given.one:
        guided = not given.blind and find_spec("atheris") is not None
        return _share(given.inputs, given.seed, given.processes, given.targets, given.out, guided=guided)
    file = given.out / f"{given.one}.json"
    if given.blind:
        blind(given.one, given.inputs, given.seed, file)
    else:
        _guided(given.one, given.inputs, given.seed, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
