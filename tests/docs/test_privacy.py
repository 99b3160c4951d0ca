"""PRIVACY.md says what the model decides, and the model decides what PRIVACY.md says."""

from __future__ import annotations

import pytest
import yaml

from docs.privacy import (
    COLUMNS,
    DESCRIPTIONS,
    MODEL,
    MODELS,
    PAGE,
    page_of,
    read_signals,
    reasons_of,
    table_of,
    written_page,
)

SIGNALS = read_signals(DESCRIPTIONS.read_text(encoding="utf-8"))
REASONS = reasons_of(MODEL.read_text(encoding="utf-8"))


def test_the_page_is_what_the_generator_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == written_page(), "regenerate with: uv run python docs/privacy.py"


def test_every_signal_fills_every_column() -> None:
    assert [signal for signal in SIGNALS if set(signal) - {"reason"} != set(COLUMNS)] == []
    assert [cell for signal in SIGNALS for cell in signal.values() if not cell or "|" in str(cell)] == []


def test_a_reason_that_is_not_described_is_an_error_and_so_is_the_opposite() -> None:
    assert len(REASONS) >= 7
    with pytest.raises(ValueError, match="gives"):
        table_of(SIGNALS, [*REASONS, "new"])
    with pytest.raises(ValueError, match="describes"):
        table_of(SIGNALS, REASONS[1:])


def test_the_marts_know_the_same_reasons() -> None:
    core = yaml.safe_load((MODELS / "marts" / "core" / "_core__models.yml").read_text(encoding="utf-8"))
    (authors,) = (model for model in core["models"] if model["name"] == "dim_authors")
    (column,) = (column for column in authors["columns"] if column["name"] == "withheld_because")
    (accepted,) = (test["accepted_values"]["arguments"]["values"] for test in column["data_tests"])
    assert sorted(accepted) == sorted(REASONS)


def test_the_table_is_put_in_place_of_the_one_before() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page_of(page_of(page, "one"), "other") == page_of(page, "other")
