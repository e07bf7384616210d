"""What a model is: item codes, tables, the artifacts on disk and the networks behind them."""
