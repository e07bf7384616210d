"""What a report says of runs."""

from tests.training.evaluation.some_runs import some_run
from training.evaluation.runs import Run
from training.evaluation.seeds import summarize
from training.report.contents import report_document
from training.report.document import Document, Heading, Paragraph, Plot, Table


def document_of(*runs: Run) -> Document:
    return report_document(summarize(runs), "Quality")


def tables(document: Document) -> list[list[list[str]]]:
    """Head and rows of each table, the best in asterisks."""
    return [
        [list(block.head), *([f"*{cell.text}*" if cell.best else cell.text for cell in row] for row in block.rows)]
        for block in document.blocks
        if isinstance(block, Table)
    ]


def headings(document: Document) -> list[str]:
    return [block.text for block in document.blocks if isinstance(block, Heading)]


def test_systems_stand_side_by_side_in_their_order_with_means_over_seeds() -> None:
    document = document_of(some_run(0.3, system="b"), some_run(0.1), some_run(0.2, seed=1), some_run(0.3, seed=2))
    ranking, parts, lists = tables(document)
    assert ranking[0] == ["system", "runs", "R@10", "N@10", "R@50", "N@50", "MRR"]
    assert ranking[1][:4] == ["b", "1", "*0.3000*", "*0.3100*"]
    assert ranking[2][:4] == ["codes", "3", "0.2000 ± 0.1000", "0.2100 ± 0.1000"]
    assert parts[0][:2] == ["system", "warm (60) R@10"]
    assert [head for head in parts[0] if "R@50" in head] == ["warm (60) R@50", "cold (30) R@50", "never seen (10) R@50"]
    assert parts[2][parts[0].index("cold (30) R@10")] == "0.1000 ± 0.0500"
    assert lists[1][:4] == ["b", "50.0 %", "40.0", "25.0"]


def test_every_split_of_every_data_set_is_a_section_with_its_size() -> None:
    document = document_of(some_run(), some_run(split="test"), some_run(dataset="other", users=2000, items=12345))
    assert [text for text in headings(document) if text.endswith(("valid", "test"))] == [
        "shop, valid",
        "shop, test",
        "other, valid",
    ]
    assert Paragraph("2,000 users, 12,345 items.") in document.blocks
    plots = [block.name for block in document.blocks if isinstance(block, Plot)]
    assert len(plots) == len(set(plots)) == 6


def test_names_that_look_alike_in_a_file_name_do_not_share_a_plot() -> None:
    document = document_of(some_run(dataset="a b"), some_run(dataset="a-b"), some_run(dataset="../A/B"))
    names = [block.name for block in document.blocks if isinstance(block, Plot)]
    assert len(names) == len(set(names))
    assert all(name.replace("-", "").isalnum() and name.isascii() for name in names)


def test_groups_of_nobody_and_figures_that_nobody_has_are_no_columns_that_mislead() -> None:
    ranking, parts, _ = tables(document_of(some_run(never_seen=0), some_run(system="b", never_seen=0, seconds=90)))
    assert not any("never seen" in head for head in parts[0])
    assert ranking[0][-1] == "training, s"
    assert [row[-1] for row in ranking[1:]] == ["–", "90"]


def test_seconds_of_pre_training_stand_apart_from_those_of_training_and_have_no_deviation() -> None:
    shared = [some_run(0.1, seed=seed, seconds=10 * seed, pretraining_seconds=1200) for seed in (1, 2)]
    ranking, *_ = tables(document_of(some_run(system="b", seconds=90), *shared))
    assert ranking[0][-2:] == ["training, s", "pre-training, s"]
    assert [row[-2:] for row in ranking[1:]] == [["90", "–"], ["15 ± 7", "1,200"]]


def test_systems_run_on_several_shares_have_curves_and_stand_in_the_tables_at_their_largest() -> None:
    runs = [
        *(some_run(0.1 + share / 10, system="transferred", share=share) for share in (0, 0.05, 1)),
        *(some_run(share / 10, system="scratch", share=share) for share in (0.05, 1)),
        some_run(0.05, system="zero-shot", share=0),
    ]
    document = document_of(*runs)
    ranking, _, _, curve, _ = tables(document)
    assert headings(document)[-1] == "With less to learn from"
    assert [row[:2] for row in ranking] == [
        ["system", "share"],
        ["transferred", "100 %"],
        ["scratch", "100 %"],
        ["zero-shot", "0 %"],
    ]
    assert curve == [
        ["N@10 at", "0 %", "5 %", "100 %"],
        ["transferred", "0.1100", "*0.1150*", "*0.2100*"],
        ["scratch", "–", "0.0150", "0.1100"],
    ]


def test_without_shares_there_is_no_curve() -> None:
    assert "With less to learn from" not in headings(document_of(some_run(), some_run(system="b")))
