"""Great Expectations behind one function: claims about a frame in, the positions of the rows that break them out.

Great Expectations is loaded with the first call only: it costs seconds and 280 MiB. A rule that cannot be evaluated
counts as broken, never as kept.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from adapters.settings import silence_telemetry


@dataclass(frozen=True)
class Where:
    """Limits a rule to rows whose ``column`` is present, or, with ``among``, is one of these."""

    column: str
    among: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Rule:
    """One expectation of Great Expectations, by its class name, about the columns named in its arguments."""

    expectation: str
    arguments: Mapping[str, object]
    where: Where | None = None

    @property
    def column(self) -> str:
        """The column or columns the rule is about, for people."""
        named = [self.arguments.get(name) for name in ("column", "column_A", "column_B", "column_list")]
        return ", ".join(
            text if isinstance(text, str) else ", ".join(map(str, _listed(text))) for text in named if text
        )


@dataclass(frozen=True)
class Claim:
    """A sentence about a table that can be false; it holds when each of its rules does."""

    name: str
    sentence: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Breach:
    """One broken rule: ``positions`` are the row numbers in the frame; ``problem`` says why it could not be judged."""

    column: str
    rule: str
    positions: tuple[int, ...]
    problem: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What came of one claim over ``evaluated`` rows."""

    claim: str
    evaluated: int
    breaches: tuple[Breach, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """True when no rule was broken."""
        return not self.breaches


def judge(frame: pd.DataFrame, claims: Sequence[Claim]) -> list[Verdict]:
    """Evaluate every claim about a frame, in the order given.

    Args:
        frame: the rows; its index is ignored, positions count from 0.
        claims: what should hold.
    """
    if not claims:
        return []
    gx, expectation_of = _great_expectations()
    rows = frame.reset_index(drop=True)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    batch = (
        context.data_sources.add_pandas("memory")
        .add_dataframe_asset("rows")
        .add_batch_definition_whole_dataframe("all")
        .get_batch(batch_parameters={"dataframe": rows})
    )
    rules = [(claim, place) for claim in claims for place in range(len(claim.rules))]
    suite = gx.ExpectationSuite(name="claims", expectations=[expectation_of(*rule) for rule in rules])
    outcome = batch.validate(suite, result_format={"result_format": "COMPLETE"})
    # Results are matched by what each carries, not by their order, which nobody promises.
    found = {_origin(result): result for result in outcome.results}
    return [
        Verdict(
            claim.name,
            len(rows),
            tuple(
                breach
                for place, rule in enumerate(claim.rules)
                if (breach := _breach(rule, found[claim.name, place])) is not None
            ),
        )
        for claim in claims
    ]


def _great_expectations() -> tuple[Any, Any]:
    """Load the package, quietly, and return it with the maker of its expectations."""
    silence_telemetry()
    with warnings.catch_warnings():
        # The package imports a module of the standard library that is deprecated; nothing of ours.
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations as gx
        import great_expectations.expectations as gxe
        from great_expectations.expectations.row_conditions import Column

    def expectation_of(claim: Claim, place: int) -> Any:
        rule = claim.rules[place]
        origin = {"claim": claim.name, "place": place}
        return getattr(gxe, rule.expectation)(**rule.arguments, **_condition(Column, rule.where), meta=origin)

    return gx, expectation_of


def _origin(result: Any) -> tuple[str, int]:
    meta = result.expectation_config.meta
    return meta["claim"], meta["place"]


def _condition(column: Any, where: Where | None) -> dict[str, object]:
    if where is None:
        return {}
    named = column(where.column)
    return {"row_condition": named.is_not_null() if where.among is None else named.is_in(list(where.among))}


def _breach(rule: Rule, result: Any) -> Breach | None:
    if result.success:
        return None
    positions = tuple(sorted(set(result.result.get("unexpected_index_list") or ())))
    problem = None if positions else "the rule could not be evaluated on these rows"
    return Breach(column=rule.column, rule=_spoken(rule), positions=positions, problem=problem)


def _spoken(rule: Rule) -> str:
    """Return the rule as a person reads it: the expectation without its column and long lists."""
    details = {
        name: text
        for name, text in rule.arguments.items()
        if name not in {"column", "column_A", "column_B", "column_list", "value_set"}
    }
    said = "".join(f", {name} {text}" for name, text in details.items())
    condition = "" if rule.where is None else f", where {rule.where.column} is {_among(rule.where)}"
    return f"{rule.expectation}{said}{condition}"


def _among(where: Where) -> str:
    return "present" if where.among is None else f"one of {len(where.among)} values"


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()
