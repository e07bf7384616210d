"""Two small, related shops, made up on the spot: what the demo and the tests train on.

A customer works through a project, stage by stage, is loyal to a brand and a style, buys again what is used up, turns
to something else now and then and comes back. So the next item follows from the history more than from any text: what
comes next is a complement, while the nearest text is a substitute. Both shops have the same stages and habits, so that
what a network learns in one helps in the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from models.item_text import compose_text
from training.prepare import INTERACTIONS_FILE, ITEMS_FILE
from training.replace_file import replace_files
from training.sample_vocabulary import COLOURS, FABRIC, HARD, PRICE_FACTORS, SHOPS, STAGES, Project, ShopVocabulary

USERS = 2500
_SHORTEST, _LONGEST = 4, 15
_FIRST_DAY = 1_700_000_000  # seconds since 1970: a day in November 2023
_YEAR = 365 * 24 * 3600

_NOISE = 0.06  # bought for no reason that the history tells
_OTHER_PROJECT = 0.10
_REFILL = 0.18
_SAME_AGAIN = 0.12  # the same kind of product once more, for a companion: the part of the next item that text foretells
_SKIPS_A_STAGE = 0.15
_LOYAL_TO_BRAND = 0.85
_LOYAL_TO_STYLE = 0.90

_REFILL_STAGE = len(STAGES) - 1

_SYLLABLES = ("Al", "Bor", "Cas", "Dun", "Fal", "Gar", "Hel", "Lin", "Mor", "Ost", "Rav", "Sol", "Tor", "Ves")
_ENDINGS = ("an", "der", "gate", "ia", "mere", "on", "sby", "tis", "wick")


@dataclass(frozen=True)
class SampleShop:
    """``items``: item_id, text, title, brand, category, price, in_stock; ``interactions``: the neutral form."""

    name: str
    items: pl.DataFrame
    interactions: pl.DataFrame


def generate(seed: int, users: int = USERS) -> tuple[SampleShop, ...]:
    """The two shops, the same for the same seed: 420 items and ``users`` users each, histories of 4 to 15 items."""
    return tuple(
        _generate_shop(shop, np.random.default_rng([seed, number]), users) for number, shop in enumerate(SHOPS)
    )


def write_sample(out: Path, seed: int) -> tuple[Path, ...]:
    """Write ``out/<shop>/items.parquet`` and ``interactions.parquet``; returns the shops' folders."""
    folders = []
    for shop in generate(seed):
        folder = out / shop.name
        folder.mkdir(parents=True, exist_ok=True)
        replace_files(
            {
                folder / ITEMS_FILE: shop.items.write_parquet,
                folder / INTERACTIONS_FILE: shop.interactions.write_parquet,
            }
        )
        folders.append(folder)
    return tuple(folders)


_Kind = tuple[int, int, int, int]  # project, stage, brand (of the project's), style: makes an item


def _generate_shop(shop: ShopVocabulary, rng: np.random.Generator, users: int) -> SampleShop:
    kinds = [
        (project, stage, brand, style)
        for project, described in enumerate(shop.projects)
        for stage in range(len(STAGES))
        for brand in range(len(described.brands))
        for style in range(len(PRICE_FACTORS))
    ]
    # drawn, so that the order of ids tells nothing of the items
    item_ids = {
        kind: f"{shop.id_prefix}{number:04d}" for kind, number in zip(kinds, rng.permutation(len(kinds)), strict=True)
    }
    items = [{"item_id": item_id, **_describe(shop, kind, rng)} for kind, item_id in item_ids.items()]
    log = [(f"user-{user:05d}", item_ids[kind], time) for user in range(users) for kind, time in _purchases(shop, rng)]
    return SampleShop(
        shop.name,
        pl.DataFrame(items).sort("item_id"),
        pl.DataFrame(log, schema=["user_id", "item_id", "timestamp"], orient="row"),
    )


def _purchases(shop: ShopVocabulary, rng: np.random.Generator) -> Iterator[tuple[_Kind, int]]:
    """One customer's purchases and when they were made, in seconds since 1970."""
    customer = _Customer(shop.projects, rng)
    time = _FIRST_DAY + int(rng.integers(_YEAR))
    for _ in range(rng.integers(_SHORTEST, _LONGEST + 1)):
        yield customer.next_purchase(), time
        time += 3600 + int(rng.exponential(12 * 24 * 3600))


def _describe(shop: ShopVocabulary, kind: _Kind, rng: np.random.Generator) -> dict[str, object]:
    """The columns of one item but its id."""
    project, stage, brand_number, style_number = kind
    described = shop.projects[project]
    product, brand = described.products[stage], described.brands[brand_number]
    style = product.make[style_number]
    details = _one_of(style.finishes, rng)
    if product.make in (FABRIC, HARD):
        details += f", {_one_of(COLOURS, rng)}"
    model = f"{_one_of(_SYLLABLES, rng)}{_one_of(_ENDINGS, rng)} {rng.integers(10, 99) * 10}"
    title = f"{brand} {model} {_one_of(style.words, rng)} {product.noun}, {details}"
    description = f"For {product.use}. {style.promise}. {_one_of(STAGES[stage], rng)}"
    categories = [shop.name, described.name, product.department]
    return {
        "text": compose_text({"title": title, "brand": brand, "categories": categories, "description": description}),
        "title": title,
        "brand": brand,
        "category": product.department,
        "price": round(product.price * PRICE_FACTORS[style_number] * rng.uniform(0.85, 1.15), 2),
        "in_stock": bool(rng.random() < 0.9),
    }


class _Customer:
    """What drives one customer: a project and how far it has come, favourite brands and a style."""

    def __init__(self, projects: tuple[Project, ...], rng: np.random.Generator) -> None:
        self.projects = projects
        self.rng = rng
        brands = sorted({brand for project in projects for brand in project.brands})
        favourites = [brands[place] for place in rng.permutation(len(brands))]
        self.brands = [min(project.brands, key=favourites.index) for project in projects]
        self.style = self._below(len(PRICE_FACTORS))
        self.project = int(len(projects) * rng.random() ** 1.5)  # the first projects are the popular ones
        # the stage bought last in each project, -1 for none; some come with half the kit
        self.reached = [self._below(4) - 1 for _ in projects]

    def next_purchase(self) -> _Kind:
        chance = self.rng.random()
        reached = self.reached[self.project]
        if chance < _NOISE:
            return self._any_variant(self._below(len(self.projects)), self._below(len(STAGES)))
        if chance < _NOISE + _OTHER_PROJECT or reached == _REFILL_STAGE:
            self.project = (self.project + 1 + self._below(len(self.projects) - 1)) % len(self.projects)
        elif chance < _NOISE + _OTHER_PROJECT + _SAME_AGAIN and reached >= 0:
            return self._any_variant(self.project, reached)
        return self._variant(self._next_stage())

    def _next_stage(self) -> int:
        reached = self.reached[self.project]
        if reached >= _REFILL_STAGE // 2 and self.rng.random() < _REFILL:
            return _REFILL_STAGE  # without having come that far
        step = 2 if self.rng.random() < _SKIPS_A_STAGE else 1
        self.reached[self.project] = min(reached + step, _REFILL_STAGE)
        return self.reached[self.project]

    def _variant(self, stage: int) -> _Kind:
        _, _, brand, style = self._any_variant(self.project, stage)
        if self.rng.random() < _LOYAL_TO_BRAND:
            brand = self.projects[self.project].brands.index(self.brands[self.project])
        if self.rng.random() < _LOYAL_TO_STYLE:
            style = self.style
        return self.project, stage, brand, style

    def _any_variant(self, project: int, stage: int) -> _Kind:
        return project, stage, self._below(len(self.projects[project].brands)), self._below(len(PRICE_FACTORS))

    def _below(self, bound: int) -> int:
        return int(self.rng.integers(bound))


def _one_of(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[rng.integers(len(choices))]
