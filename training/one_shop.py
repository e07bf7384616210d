"""What a model of one shop alone learns from: every position of its histories, by softmax over its trained items."""

from collections.abc import Sequence

from torch import nn

from training.batches import epoch_batches, number_of_batches, training_sequences
from training.loop import Task
from training.next_item_model import NextItemModel


def one_shop_task(label: str, model: NextItemModel, max_history: int, shared: Sequence[nn.Parameter] = ()) -> Task:
    """The training and the validation of a model's only shop, as the loop sees them.

    Args:
        label: for the progress bar.
        model: of one shop; whose parameters that require a gradient learn.
        max_history: the longest history that its network reads.
        shared: parameters that learn at a rate of their own.
    """
    (shop,) = model.shops
    sequences = training_sequences(shop.split.train, max_history)
    return Task(
        label=label,
        model=model,
        batches=lambda seed: epoch_batches(sequences, seed),
        batches_per_epoch=number_of_batches(sequences),
        loss=model.full_softmax,
        validate=lambda: model.evaluate(0, shop.split.valid)["ndcg@10"],
        shared=shared,
        fading=model.fading,
    )
