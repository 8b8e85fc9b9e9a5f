"""Every fault as long as it lasts in life: runs tests/faults in their long versions, prints the table, writes what was seen.

    python -m tests.faults.torture [--kills 100] [--out dist/torture] [TESTS...]     (make torture KILLS=100)

rows.jsonl gets a line as soon as a test is done; results.json the whole, with command, date and version. Exit code: pytest's.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("dist/torture"))
    parser.add_argument("tests", nargs="*", default=[str(HERE)])
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    file = (a.out / "rows.jsonl").resolve()
    file.unlink(missing_ok=True)
    environment = {
        **os.environ, "EARLYWARNING_TORTURE": "1", "EARLYWARNING_KILLS": str(a.kills), "EARLYWARNING_TORTURE_OUT": str(file),
    }  # fmt: skip
    begun, load = datetime.now(UTC), os.getloadavg()
    done = subprocess.run([sys.executable, "-m", "pytest", "-n0", "-v", "-W", "ignore", *a.tests], env=environment, check=False)
    version = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    result = {
        "command": " ".join(["python -m tests.faults.torture", *sys.argv[1:]]), "date": begun.isoformat(timespec="minutes"),
        "minutes": round((datetime.now(UTC) - begun).total_seconds() / 60, 1), "version": version.stdout.strip(),
        "python": platform.python_version(), "load_before": load, "load_after": os.getloadavg(), "passed": done.returncode == 0,
        "rows": rows,
    }  # fmt: skip
    (a.out / "results.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print("\n| fault | what is seen | lost | well after |\n| --- | --- | --- | --- |")
    for row in rows:
        print(f"| {row['fault']} | {row['seen']} | {row['lost']} | {row['well_after_seconds']} s |")
    print(f"\n{len(rows)} rows, {result['minutes']} minutes, version {result['version']}; {a.out / 'results.json'}")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
