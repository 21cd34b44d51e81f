"""Results in Spark: python spark_queries.py [FOLDER...], with Java and pyspark

Each query is the one of the same name in docs/analytics.md, with its columns.
"""

import sys

from pyspark.sql import SparkSession

OUTPUT = """
    SELECT run_id, seq, turn, phase, outcome, streamed, output_tokens, sent_ns + us * 1000 AS at_ns, i, us,
           event_tokens[i] AS tokens, aggregate(event_tokens, 0L, (sum, n) -> sum + n) AS told,
           size(filter(event_kind, kind -> kind & 14 > 0)) AS outputs
    FROM (SELECT *, posexplode(event_us) AS (i, us) FROM requests) WHERE event_kind[i] & 14 > 0"""

GAPS = """
    SELECT * FROM (
        SELECT run_id, seq, turn, (us - lag(us) OVER (PARTITION BY run_id, seq, turn ORDER BY i)) / 1000 AS gap_ms
        FROM output WHERE phase = 'measured' AND outcome = 'success' AND streamed)
    WHERE gap_ms IS NOT NULL"""

QUERIES = {
    "P99 by class": """
        SELECT run_id, class, count(*) AS requests, percentile(ttft_ms, 0.99) AS ttft_ms_p99,
               percentile(e2el_ms, 0.99) AS e2el_ms_p99 FROM measured GROUP BY run_id, class""",
    "ITL percentiles": """
        SELECT run_id, count(*) AS gaps, avg(gap_ms) AS mean, percentile(gap_ms, array(0.5, 0.9, 0.99, 0.999))
        FROM gaps GROUP BY run_id""",
    "Tokens per second over time": """
        SELECT run_id, at_ns div 1000000000 AS second,
               sum(CASE WHEN told > 0 THEN tokens ELSE output_tokens / outputs END) AS output_tokens
        FROM output WHERE output_tokens IS NOT NULL GROUP BY run_id, second ORDER BY run_id, second""",
    "Stalls": """
        SELECT run_id, count_if(usual > 0 AND gap_ms > 5 * usual) AS stalls, max(gap_ms) AS longest_gap_ms
        FROM (SELECT *, percentile(gap_ms, 0.5) OVER (PARTITION BY run_id, seq, turn) AS usual FROM gaps)
        GROUP BY run_id""",
    "Queueing against service": """
        SELECT run_id, avg(queue_delay_ms), avg(ttft_ms), avg(e2el_ms - ttft_ms), avg(response_e2el_ms)
        FROM measured GROUP BY run_id""",
    "Prefix reuse by turn": """
        SELECT run_id, turn, count(*) AS requests, avg(input_tokens) AS input_tokens,
               sum(cached_tokens) / sum(CASE WHEN cached_tokens IS NOT NULL THEN input_tokens END) AS cached_share
        FROM measured GROUP BY run_id, turn""",
    "One cell over the dates": """
        SELECT zero_at, runs.folder, cell, tags['gpus'] AS gpus, verdict, metric, statistic, value, low, high
        FROM runs JOIN statistics USING (run_id, cell)
        WHERE part = '' AND (metric = 'ttft' AND statistic = 'p99' OR metric = 'output_tokens' AND statistic = 'rate')""",
}


def queries(folders):
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    for table, files in [("requests", "requests"), ("runs", "runs.parquet"), ("statistics", "statistics.parquet")]:
        spark.read.parquet(*[f"{folder}/{files}" for folder in folders]).createOrReplaceTempView(table)
    measured = "SELECT * FROM requests WHERE phase = 'measured' AND outcome = 'success'"
    for view, query in [("measured", measured), ("output", OUTPUT), ("gaps", GAPS)]:
        spark.sql(query).createOrReplaceTempView(view)
    return {title: spark.sql(query) for title, query in QUERIES.items()}


if __name__ == "__main__":
    for title, found in queries(sys.argv[1:] or ["results/sample"]).items():
        assert found.count() > 0, title
        print(title)
        found.show(20, truncate=False)
