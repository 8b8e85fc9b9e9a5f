"""Whether a tendency returns: the earlier alerts that a new one links to."""

from collections.abc import Iterable
from datetime import timedelta

from earlywarning.core.alert_record import Alert
from earlywarning.core.kinship import Kinship

LOOK_BACK = timedelta(days=365)
MOST_LINKS = 5


def earlier_alerts(alert: Alert, others: Iterable[Alert], kin: Kinship) -> tuple[str, ...]:
    """Ids of alerts of the same kind of source about the same block, or one above or below it: the newest first, at most 5.

    They were opened within 365 days before it. What a correction has withdrawn did not happen, and is not linked to.
    """
    before = [
        other
        for other in others
        if other.alert_id != alert.alert_id
        and other.kind == alert.kind
        and other.state != "withdrawn"
        and other.opened_at < alert.opened_at
        and alert.opened_on - other.opened_on <= LOOK_BACK
        and kin.touch(alert.areas, other.areas)
        and kin.touch_categories(alert.categories, other.categories)
    ]
    before.sort(key=lambda a: (a.opened_at, a.alert_id), reverse=True)
    return tuple(a.alert_id for a in before[:MOST_LINKS])
