"""PromQL read as far as tests need it: which series an expression asks for, by which labels, and what it groups by."""

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""\s+ | (?P<string>"(?:[^"\\]|\\.)*") | \[(?P<range>[^\[\]]*)\] | (?P<duration>\d+(?:ms|[smhdwy]))
      | (?P<number>\d+(?:\.\d+)?) | (?P<name>[a-zA-Z_:][\w:]*) | (?P<sign>=~|!~|!=|==|<=|>=|[-+*/%^(){},=<>])""",
    re.VERBOSE,
)
_GROUPING = {"by", "without"}
_LISTS = _GROUPING | {"on", "ignoring", "group_left", "group_right"}
_OPERATORS = {"and", "or", "unless", "offset", "bool"}
_COMPARISONS = {"=", "!=", "=~", "!~"}


class MalformedExpressionError(ValueError):
    """Not an expression, or one of a kind that is not read here."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on a label."""

    label: str
    comparison: str
    pattern: str

    def alternatives(self) -> list[str]:
        """Regular expressions of the whole value, one for each alternative that it names: ``a(b|c)`` has two."""
        if not self.comparison.endswith("~"):
            return [re.escape(self.pattern)]
        grouped = re.fullmatch(r"([^()]*)\(([^()]*)\)([^()]*)", self.pattern)
        if grouped is None:
            return self.pattern.split("|")
        before, within, after = grouped.groups()
        return [f"{before}{alternative}{after}" for alternative in within.split("|")]


@dataclass(frozen=True, slots=True)
class Selector:
    """Series by name and labels."""

    name: str
    matchers: tuple[Matcher, ...]


def selectors(expression: str) -> list[Selector]:
    """Every series that is asked for, in their order.

    Raises:
        MalformedExpressionError: if the expression cannot be read.
    """
    return _read(expression)[0]


def grouping_labels(expression: str) -> set[str]:
    """What stands behind ``by``, ``on`` and their like."""
    return _read(expression)[1]


def is_aggregated(expression: str) -> bool:
    """Whether the result has no labels but those that are grouped by; a set operation's are those of its left side."""
    return bool(re.match(r"\(*\s*(\w+ by|histogram_quantile)\b", expression))


def _read(expression: str) -> tuple[list[Selector], set[str]]:
    tokens, found, grouped = _tokens(expression), [], set[str]()
    while tokens:
        kind, text = tokens.pop(0)
        if kind != "name" or text in _OPERATORS:
            continue
        follows = tokens[0][1] if tokens else ""
        if text in _LISTS:
            grouped |= set(_take_list(tokens))
        elif follows == "{":
            found.append(Selector(text, tuple(_take_matchers(tokens))))
        elif follows != "(" and follows not in _GROUPING:  # else a function or an aggregation
            found.append(Selector(text, ()))
    return found, grouped


def _tokens(expression: str) -> list[tuple[str, str]]:
    tokens, position = [], 0
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if match is None:
            raise MalformedExpressionError(f"cannot be read from here: {expression[position:]}")
        if match.lastgroup is not None:
            tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    signs = [text for kind, text in tokens if kind == "sign"]
    if any(signs.count(opening) != signs.count(closing) for opening, closing in ("()", "{}")):
        raise MalformedExpressionError(f"brackets do not match: {expression}")
    return tokens


def _take_list(tokens: list[tuple[str, str]]) -> list[str]:
    _expect(tokens, "(")
    names = []
    while tokens and tokens[0][1] != ")":
        kind, text = tokens.pop(0)
        if kind == "name":
            names.append(text)
    _expect(tokens, ")")
    return names


def _take_matchers(tokens: list[tuple[str, str]]) -> list[Matcher]:
    _expect(tokens, "{")
    matchers = []
    while tokens and tokens[0][1] != "}":
        (kind, label), (_, comparison), (value_kind, value) = tokens.pop(0), tokens.pop(0), tokens.pop(0)
        if (kind, value_kind) != ("name", "string") or comparison not in _COMPARISONS:
            raise MalformedExpressionError(f"not a matcher: {label}{comparison}{value}")
        matchers.append(Matcher(label, comparison, value[1:-1]))
        if tokens and tokens[0][1] == ",":
            tokens.pop(0)
    _expect(tokens, "}")
    return matchers


def _expect(tokens: list[tuple[str, str]], text: str) -> None:
    if not tokens or tokens.pop(0)[1] != text:
        raise MalformedExpressionError(f"{text} is missing")
