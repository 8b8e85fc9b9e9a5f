"""Draw `alert.svg`: what the command line says of one alert of the demonstration.

earlywarning run --replay-only && python docs/img/picture_of_an_alert.py ALERT_ID [sv|en]
"""

import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text


def main() -> None:
    alert, language = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "en"
    command = [sys.executable, "-m", "earlywarning", "alerts", alert, "--language", language]
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout  # noqa: S603  # our own command
    console = Console(record=True, width=102, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115  # nothing is shown
    console.print(Text(f"$ earlywarning alerts {alert}\n", style="bold"))
    for line in said.splitlines():
        console.print(Text(line.rstrip(), no_wrap=True))
    Path(__file__).with_name("alert.svg").write_text(console.export_svg(title="earlywarning"))


if __name__ == "__main__":
    main()
