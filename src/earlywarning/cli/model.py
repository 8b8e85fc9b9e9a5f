"""Commands for trained models: train, check, show."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

model_app = App(
    name="model",
    help="Trained models: train, check and show them. The service is complete without one.",
    group="Coordinators and analysts",
)


@model_app.command
def train(
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="Folder to write model and card to.")] = Path("var/models"),
    seed: Annotated[int, Parameter(help="The same seed and libraries give the same model.")] = 0,
) -> None:
    """Train the model of usual mixtures anew on the bundled data, measure it, and write it with its card."""
    from earlywarning.lab.models import card_text, load_model  # noqa: PLC0415  # a command loads only what it needs
    from earlywarning.lab.pattern_training import train as train_pattern  # noqa: PLC0415

    card = train_pattern(out, trained=datetime.now(UTC).date(), seed=seed)
    load_model(out)  # what has just been written must pass the checks of those who load it
    print(card_text(card))
    print(f"Written to {out}/{card.name}.skops and {out}/{card.name}.json")


@model_app.command
def check(folder: Path | None = None) -> None:
    """Check a model (without FOLDER the bundled one): file, types, features and scores; an error says what differs."""
    from earlywarning.lab.models import installed_versions, load_model  # noqa: PLC0415  # a command loads only what it needs

    card = load_model(folder).card
    print(f"model {card.name}: fits. SHA-256 {card.sha256}; features of version {card.features_version}; trained {card.trained}")
    for name, now in installed_versions().items():
        then = card.libraries.get(name, "unknown")
        if then != now:
            print(f"{name} {then} at training, {now} here: it scores the probe of its card alike")


@model_app.command
def show(folder: Path | None = None) -> None:
    """Show the card of a model (without FOLDER the bundled one)."""
    from earlywarning.lab.models import card_text, read_card  # noqa: PLC0415  # a command loads only what it needs

    print(card_text(read_card(folder)), end="")
