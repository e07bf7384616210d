"""What a report says: the summaries of runs, as sections, tables and plots."""

import re
from collections.abc import Sequence

from training.evaluation.quality import COLD_BELOW, LIST_LENGTH, METRICS, Metric
from training.evaluation.seeds import GROUPS, Spread, Summary
from training.report.curves import curve_blocks
from training.report.document import Block, Document, Heading, Paragraph, Plot, Table
from training.report.plots import Series, bar_plot
from training.report.tables import Column, Row, decimals, figure_table, percent, share_of_one

_SHORT: dict[Metric, str] = {
    "recall@10": "R@10",
    "ndcg@10": "N@10",
    "recall@50": "R@50",
    "ndcg@50": "N@50",
    "mrr": "MRR",
}
_PARTS = {"warm": "warm", "cold": "cold", "never_seen": "never seen"}
_PLOTTED: tuple[Metric, ...] = ("ndcg@10", "recall@50")
_LISTS = {
    "coverage": Column(f"coverage@{LIST_LENGTH}", percent(1)),
    "popularity": Column("popularity shown", decimals(1)),
    "target_popularity": Column("popularity to be found", decimals(1), spread=False),
    "exposure_gini": Column("exposure, Gini", decimals(3)),
    "text_similarity": Column("likeness shown", decimals(3)),
    "target_text_similarity": Column("likeness to be found", decimals(3), spread=False),
}

_HOW_READ = (
    "R is Recall, N is NDCG, MRR the mean reciprocal rank: one target a user, ranked among the whole catalogue, items "
    "already seen not removed, equal scores in the order in which the service puts them. Several runs are given as "
    "mean ± standard deviation. The best mean of a column is in bold."
)
_PARTS_READ = (
    f"Users by how often their target was bought in the whole training split: warm is {COLD_BELOW} times or more, "
    "cold is less often, never seen is not once."
)
_LISTS_READ = (
    f"Of the first {LIST_LENGTH} items that each user is shown: the share of the catalogue that stands in anyone's "
    "list; the mean number of training interactions, beside that of the items to be found; how unequally the catalogue "
    "is exposed (0: all items alike); and the mean cosine between the text of a user's last item and the texts shown, "
    "beside that of the item to be found."
)


def report_document(summaries: Sequence[Summary], title: str) -> Document:
    """A section for each split of each data set, in the order in which they first come."""
    splits: dict[tuple[str, str], list[Summary]] = {}
    for summary in summaries:
        splits.setdefault((summary.dataset, summary.split), []).append(summary)
    blocks: list[Block] = [Paragraph(_HOW_READ)]
    for place, group in enumerate(splits.values(), 1):
        blocks += _section(place, group)
    return Document(title, tuple(blocks))


def _section(place: int, summaries: Sequence[Summary]) -> list[Block]:
    first = summaries[0]
    run = first.runs[0]
    slug = re.sub(r"[^a-z0-9]+", "-", f"{place}-{first.dataset}-{first.split}".lower()).strip("-")
    fullest = _at_largest_share(summaries)
    return [
        Heading(2, f"{first.dataset}, {first.split}"),
        Paragraph(f"{run.quality.everyone.users:,} users, {run.items:,} items."),
        _ranking(fullest),
        Heading(3, "Warm, cold and never seen"),
        Paragraph(_PARTS_READ),
        _parts(fullest),
        *(_parts_plot(slug, metric, fullest) for metric in _PLOTTED),
        Heading(3, "What the lists are like"),
        Paragraph(_LISTS_READ),
        _lists(fullest),
        *curve_blocks(slug, summaries),
    ]


def _at_largest_share(summaries: Sequence[Summary]) -> list[Summary]:
    largest: dict[str, Summary] = {}
    for summary in summaries:
        if summary.system not in largest or summary.share > largest[summary.system].share:
            largest[summary.system] = summary
    return list(largest.values())


def _ranking(summaries: Sequence[Summary]) -> Table:
    columns = [Column(_SHORT[metric], decimals(4), marked=True) for metric in METRICS]
    figures = [f"everyone/{metric}" for metric in METRICS]
    if any("seconds" in summary.figures for summary in summaries):
        columns, figures = [*columns, Column("training, s", decimals(0))], [*figures, "seconds"]
    pretraining = [_pretraining(summary) for summary in summaries]
    if any(pretraining):
        columns = [*columns, Column("pre-training, s", decimals(0), spread=False)]
    partial = any(summary.share < 1 for summary in summaries)
    rows = [
        Row(
            (summary.system, *([share_of_one(summary.share)] if partial else []), str(len(summary.runs))),
            (*map(summary.figures.get, figures), *([seconds] if any(pretraining) else [])),
        )
        for summary, seconds in zip(summaries, pretraining, strict=True)
    ]
    return figure_table(("system", *(["share"] if partial else []), "runs"), columns, rows)


def _pretraining(summary: Summary) -> Spread | None:
    known = [run.pretraining_seconds for run in summary.runs if run.pretraining_seconds is not None]
    return Spread.of(known) if known else None


def _parts(summaries: Sequence[Summary]) -> Table:
    metrics: tuple[Metric, ...] = ("recall@10", "ndcg@10", "recall@50")
    users = {part: _users(summaries, part) for part in _PARTS}
    shown = [(part, metric) for part in _PARTS if users[part] for metric in metrics]
    columns = [
        Column(f"{_PARTS[part]} ({users[part]:,}) {_SHORT[metric]}", decimals(4), marked=True) for part, metric in shown
    ]
    rows = [
        Row((summary.system,), tuple(summary.figures.get(f"{part}/{metric}") for part, metric in shown))
        for summary in summaries
    ]
    return figure_table(("system",), columns, rows)


def _lists(summaries: Sequence[Summary]) -> Table:
    rows = [
        Row((summary.system,), tuple(summary.figures.get(f"lists/{figure}") for figure in _LISTS))
        for summary in summaries
    ]
    return figure_table(("system",), list(_LISTS.values()), rows)


def _parts_plot(slug: str, metric: Metric, summaries: Sequence[Summary]) -> Plot:
    groups = [group for group in GROUPS if _users(summaries, group)]
    series = [
        Series(summary.system, tuple(summary.figures.get(f"{group}/{metric}") for group in groups), number)
        for number, summary in enumerate(summaries)
    ]
    label = f"{_SHORT[metric]} by how often the target was bought"
    svg = bar_plot(label, [_PARTS.get(group, "all users") for group in groups], series)
    return Plot(f"{slug}-parts-{metric.replace('@', '-')}", f"{label}; whiskers are one standard deviation.", svg)


def _users(summaries: Sequence[Summary], group: str) -> int:
    return int(getattr(summaries[0].runs[0].quality, group).users)
