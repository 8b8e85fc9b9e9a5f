"""Names of areas and categories, by their codes."""

from typing import NamedTuple, Self

from earlywarning.core.areas import AreaRegister
from earlywarning.core.categories import ROOT, CategoryTree
from earlywarning.locale.catalogue import Language, label


class Names(NamedTuple):
    """What codes are called; an unknown code is its own name."""

    areas: dict[str, str]
    categories: dict[str, tuple[str, str]]

    @classmethod
    def from_registers(cls, register: AreaRegister, tree: CategoryTree) -> Self:
        """Names as the registers give them."""
        areas = dict(zip(register.codes, register.names, strict=True))
        categories = dict(zip(tree.codes, zip(tree.names_sv, tree.names_en, strict=True), strict=True))
        return cls(areas, categories)

    def area(self, code: str, language: Language) -> str:
        """The name of an area: the same in both languages."""
        return self.areas.get(code, code)

    def category(self, code: str, language: Language) -> str:
        """The name of a category."""
        if code == ROOT:
            return label("all_categories", language)
        names = self.categories.get(code)
        return code if names is None else names[0 if language == "sv" else 1]

    def category_inside(self, code: str, language: Language) -> str:
        """The name as it stands inside a sentence: with a small first letter, unless it is an abbreviation or a code."""
        name = self.category(code, language)
        return name[:1].lower() + name[1:] if code in self.categories and name[1:2].islower() else name
