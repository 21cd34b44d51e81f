"""Opens a results folder as its users do, with Spark: python open_spark.py FOLDER

Fails unless every row is there, and every list of times is as long as the list beside it.
"""

import sys

from pyspark.sql import SparkSession


def main():
    folder = sys.argv[1].rstrip("/")
    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    spark.read.parquet(f"{folder}/requests").createOrReplaceTempView("requests")
    spark.read.parquet(f"{folder}/runs.parquet").createOrReplaceTempView("runs")
    found = spark.sql("""
        select r.run, first(r.rows_written) as written, count(*) as rows, first(r.completed) as completed,
               count_if(q.phase = 'measured' and q.outcome = 'success') as measured,
               bool_and(size(q.event_us) = size(q.event_kind)) as lists
        from requests q join runs r using (run) group by r.run""").collect()
    assert found, "no run"
    for row in found:
        assert row.written == row.rows and row.completed == row.measured and row.lists, row
        print(f"{row.run}: {row.rows} rows, {row.completed} measured successes")
    spark.stop()


main()
