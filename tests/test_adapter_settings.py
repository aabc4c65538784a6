"""What a session may change of its model's adapter."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from diverloop.adapter_settings import adapter_settings
from diverloop.adapters.linear import LinearAdapter
from diverloop.adapters.neurofeedback import NeurofeedbackAdapter
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.session import parse_session, tables_of

CARD = SimpleNamespace(
    adapter="neurofeedback",
    adapter_config={"rate_hz": 250.0, "plan": {"n_blocks": 10, "block_s": 60.0}, "feature": 1},
)


def test_a_session_changes_the_keys_that_it_names_and_no_others():
    named = {"plan": {"block_s": 90.0}, "threshold": {"target": 0.7}}
    config = adapter_settings(NeurofeedbackAdapter, CARD, named)
    assert (config.plan.n_blocks, config.plan.block_s, config.threshold.target) == (10, 90.0, 0.7)
    assert config.feature == 1
    assert CARD.adapter_config["plan"]["block_s"] == 60.0


def test_what_belongs_to_the_model_cannot_be_changed_by_a_session():
    with pytest.raises(
        ConfigError, match=r"adapter\.feature belongs to the model.*plan, threshold"
    ):
        adapter_settings(NeurofeedbackAdapter, CARD, {"feature": 0})
    with pytest.raises(ConfigError, match="may name nothing"):
        adapter_settings(LinearAdapter, CARD, {"classes": ["a", "b"]})
    with pytest.raises(ConfigError, match="block_s"):
        adapter_settings(NeurofeedbackAdapter, CARD, {"plan": {"block_s": 1.0}})


def test_a_session_file_takes_the_settings_of_an_adapter_and_keeps_them(tmp_path):
    tables = {
        "session": {"name": "training"},
        "source": {"kind": "simulator"},
        "model": {"bundle": "model.bundle"},
        "adapter": {"threshold": {"target": 0.7}},
    }
    session = parse_session(tables, tmp_path)
    assert session.adapter == {"threshold": {"target": 0.7}}
    assert parse_session(tables_of(session), tmp_path).adapter == session.adapter
    with pytest.raises(ConfigError, match="must be a table"):
        parse_session({**tables, "adapter": 3}, tmp_path)
