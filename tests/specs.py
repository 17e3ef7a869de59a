"""Specs as text, whole and short, and what is said of one that cannot be run."""

from __future__ import annotations

import pytest

from tuner.spec import SpecError, parse

COMPLETE = """\
name: flight-delays
data:
  source: data/flights/*.parquet      # csv, parquet, feather, npz (X, y); or sql: {url: ..., query: ...}
  target: delay_class
  features: [carrier, origin, dest, distance, sched_dep_time, temp, wind_speed]
  time: time_hour                      # gives windows and a time-ordered holdout
  window: {last: 90 days}
  validation: {last: 7 days}           # what the search compares on; or {fraction: 0.2}
  holdout: {last: 14 days}             # the newest rows, touched once
model:
  hidden_layers: {int: [0, 3]}         # 0 = plain softmax regression
  hidden_units: {log_int: [32, 512]}   # one width, or per_layer: {log_int: [...]}
  batch_norm: true
  bn_epsilon: 1.0e-8
  bn_statistics: ewa
train:
  optimizer: {choice: [momentum, adam]}
  learning_rate: {log_uniform: [1.0e-4, 1]}
  momentum: {one_minus_log_uniform: [0.9, 0.999]}
  beta1: 0.9
  beta2: 0.999
  epsilon: 1.0e-8
  batch_size: {choice: [64, 128, 256]}
  weight_decay: 0
  epoch_rows: null
  learning_rate_decay: {schedule: inverse_time, rate: {log_uniform: [1.0e-3, 1]}}
search: {sampler: random, trials: 64, seed: 0}
stopping: {asha: {min_epochs: 1, max_epochs: 27, reduction: 3}}
objective: {metric: val_loss, mode: min, select: best, confirm: 3}
budget: {hours: 2}
resources: {cpus_per_worker: 1, gpus_per_worker: 0}
tracking: {uri: null, register: flight-delays}
"""
SECRETS = [
    "postgresql://me:{}@host/db",
    "postgresql://host/db?user=me&password={}",
    "mssql+pyodbc://?odbc_connect=DRIVER={{ODBC Driver 18 for SQL Server}};UID=me;PWD={};",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3D{}",
    "s3://key:{}@bucket/rows.csv",
    "https://u:{}@host/rows.csv",
    "https://host/rows.csv?sv=1&token={}",
]
SHORT = "name: digits\ndata: {source: digits.npz}\n"


def written(**sections: str) -> str:
    return SHORT + "".join(f"{name}: {text}\n" for name, text in sections.items())


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse(text, overrides)
    assert "pydantic" not in str(caught.value).lower()
    assert "http" not in str(caught.value)
    return [str(problem) for problem in caught.value.problems]
