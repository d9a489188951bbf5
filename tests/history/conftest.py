"""Histories, each empty."""

import pytest

pytest.register_assert_rewrite("tests.history.contract")
