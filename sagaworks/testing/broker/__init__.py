"""Tests on a full broker, or on any cluster: their records come from the shipped exporter."""
