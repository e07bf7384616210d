"""How systems fare with less to learn from: a table and a line plot over shares of the training histories."""

from collections.abc import Sequence

from training.evaluation.seeds import Spread, Summary
from training.report.document import Block, Heading, Paragraph, Plot
from training.report.plots import Series, line_plot
from training.report.tables import Column, Row, decimals, figure_table, share_of_one

_METRICS = {"ndcg@10": "N@10", "recall@10": "R@10"}
_READ = (
    "The same targets, by the share of the users' training histories that the system learned from. 0 % is without any "
    "interaction of this shop."
)


def curve_blocks(slug: str, summaries: Sequence[Summary]) -> list[Block]:
    """Of those systems that were run on several shares; nothing where there is none.

    Args:
        slug: what the names of plots begin with.
        summaries: of one split of one data set.
    """
    shares_of: dict[str, dict[float, Summary]] = {}
    for summary in summaries:
        shares_of.setdefault(summary.system, {})[summary.share] = summary
    curves = {system: found for system, found in shares_of.items() if len(found) > 1}
    if not curves:
        return []
    shares = sorted({share for found in curves.values() for share in found})
    numbers = {system: number for number, system in enumerate(shares_of)}
    blocks: list[Block] = [Heading(3, "With less to learn from"), Paragraph(_READ)]
    for metric, short in _METRICS.items():
        lines = [
            Series(system, tuple(_figure(found.get(share), metric) for share in shares), numbers[system])
            for system, found in curves.items()
        ]
        blocks += _of_metric(f"{slug}-shares-{metric.replace('@', '-')}", short, list(map(share_of_one, shares)), lines)
    return blocks


def _of_metric(name: str, metric: str, shares: Sequence[str], lines: Sequence[Series]) -> list[Block]:
    columns = [Column(share, decimals(4), marked=True) for share in shares]
    rows = [Row((line.name,), line.values) for line in lines]
    label = f"{metric} by share of training histories"
    svg = line_plot(label, shares, lines)
    caption = f"{label}; whiskers are one standard deviation, shares stand at equal distances."
    return [figure_table((f"{metric} at",), columns, rows), Plot(name, caption, svg)]


def _figure(summary: Summary | None, metric: str) -> Spread | None:
    return None if summary is None else summary.figures.get(f"everyone/{metric}")
