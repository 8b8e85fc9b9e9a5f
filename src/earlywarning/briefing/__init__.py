"""The weekly situational picture (lägesbild): made from a store as one record, drawn as page, PDF and mail."""

from earlywarning.briefing.making import BriefingError, make_briefing
from earlywarning.briefing.messages import briefing_messages
from earlywarning.briefing.page import render_body, render_html
from earlywarning.briefing.paper import render_pdf
from earlywarning.briefing.post import Mail, render_mail
from earlywarning.briefing.record import Audience, Briefing, PlanRow

__all__ = [
    "Audience",
    "Briefing",
    "BriefingError",
    "Mail",
    "PlanRow",
    "briefing_messages",
    "make_briefing",
    "render_body",
    "render_html",
    "render_mail",
    "render_pdf",
]
