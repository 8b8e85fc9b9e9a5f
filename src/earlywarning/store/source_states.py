"""Under which names of `source_state` stands what more than one room looks at."""


def settings_clock(number: int) -> str:
    """Under which name of `source_state` stands when a version of the settings came: the engine's day and hour, and, where it is
    known, key and revision of the last event before."""
    return f"settings-clock:{number}"


def last_event(municipality: str) -> str:
    """Under which name of `source_state` key and revision of the last event stand that changed anything."""
    return f"last-event:{municipality}"
