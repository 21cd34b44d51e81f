"""Results in Spark: python spark_queries.py [FOLDER...], with Java and pyspark"""

import sys

from pyspark.sql import SparkSession

folders = sys.argv[1:] or ["results/sample"]
spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
for table, files in [("requests", "requests"), ("runs", "runs.parquet"), ("statistics", "statistics.parquet")]:
    spark.read.parquet(*[f"{folder}/{files}" for folder in folders]).createOrReplaceTempView(table)
spark.sql("SELECT * FROM requests WHERE phase = 'measured' AND outcome = 'success'").createOrReplaceTempView("measured")
spark.sql("""
    SELECT run_id, seq, turn, (us - lag(us) OVER (PARTITION BY run_id, seq, turn ORDER BY i)) / 1000 AS gap_ms
    FROM (SELECT run_id, seq, turn, event_kind, posexplode(event_us) AS (i, us) FROM measured)
    WHERE event_kind[i] & 14 > 0""").createOrReplaceTempView("gaps")

QUERIES = {
    "p99 by class": "SELECT run_id, class, count(*), percentile(ttft_ms, 0.99) FROM measured GROUP BY run_id, class",
    "itl percentiles": "SELECT run_id, avg(gap_ms), percentile(gap_ms, array(0.5, 0.9, 0.99)) FROM gaps GROUP BY run_id",
    "output events a second": """
        SELECT run_id, (sent_ns + us * 1000) div 1000000000 AS second, count(*)
        FROM (SELECT run_id, sent_ns, event_kind, posexplode(event_us) AS (i, us) FROM measured)
        WHERE event_kind[i] & 14 > 0 GROUP BY run_id, second ORDER BY run_id, second""",
    "stalls": """
        SELECT run_id, count_if(gap_ms > 5 * usual), max(gap_ms)
        FROM (SELECT *, percentile(gap_ms, 0.5) OVER (PARTITION BY run_id, seq, turn) AS usual FROM gaps) GROUP BY run_id""",
    "queueing against service": """
        SELECT run_id, avg(queue_delay_ms), avg(ttft_ms), avg(e2el_ms), avg(response_e2el_ms) FROM measured GROUP BY run_id""",
    "prefix reuse by turn": """
        SELECT run_id, turn, sum(cached_tokens) / sum(input_tokens) AS cached_share FROM measured GROUP BY run_id, turn""",
    "over the dates": """
        SELECT zero_at, cell, model, tags['gpus'] AS gpus, verdict, value AS output_tokens_rate
        FROM runs JOIN statistics USING (run_id, cell)
        WHERE part = '' AND metric = 'output_tokens' AND statistic = 'rate' ORDER BY cell, zero_at""",
}

for title, query in QUERIES.items():
    print(title)
    found = spark.sql(query)
    assert found.count() > 0, title
    found.show(20, truncate=False)
