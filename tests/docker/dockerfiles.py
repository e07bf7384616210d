"""A Dockerfile read as far as tests need it."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def instructions(image: str) -> list[tuple[str, str]]:
    """Name and the rest of each instruction of ``docker/<image>.Dockerfile``, continued lines joined."""
    text = (REPOSITORY / "docker" / f"{image}.Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines()]


def copied(image: str) -> list[str]:
    """What the image copies out of the repository, not out of another stage."""
    copies = [rest.split() for name, rest in instructions(image) if name == "COPY" and "--from" not in rest]
    return [source for words in copies for source in words[:-1]]


def install_arguments(image: str) -> list[str]:
    """What the image gives to ``pip install``."""
    run = next(rest for name, rest in instructions(image) if name == "RUN" and "pip install" in rest)
    found = re.search(r"pip install (.*?)(?: &&|$)", run)
    if found is None:
        raise ValueError(f"the {image} image installs nothing")
    return [word.strip("'") for word in found[1].split()]
