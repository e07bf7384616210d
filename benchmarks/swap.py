"""What does a swap of the adapter cost, and does it lose or mix anything?

First two adapters of the real catalogue, quantisers and all, to and fro under load: every answer must be one of the
two's own. Then two tables of one quantiser over scaled catalogues (benchmarks.scaled), beside a rebuild of HNSW.
With ``--items``, the second part alone.
"""

from dataclasses import replace

from benchmarks.setting import read_setting
from benchmarks.swap_agreement import measure_agreement
from benchmarks.swap_scaled import measure_scaled

SIZES = (100_000, 1_000_000)
QUICK_SIZES = (60_000,)


def main() -> None:
    setting = read_setting("swap", __doc__ or "")
    if not setting.items:
        measure_agreement(setting)
    sizes = setting.items or (QUICK_SIZES if setting.quick else SIZES)
    measure_scaled(replace(setting, name="swap_scaled"), sizes)


if __name__ == "__main__":
    main()
