"""What a model is: item codes, tables, the artifacts on disk and the networks behind them."""

import os

# As it is distributed, ONNX Runtime sends Microsoft what it runs, and keeps an id of the machine in the user's cache
# folder, both from its import on. It reads this when it is imported, so it is set before any module here can do that.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
