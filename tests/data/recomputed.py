"""Every number of statistics.parquet again, from the rows of requests alone, in DuckDB.

`NUMBERS` is the table: metric, statistics, how exact, and SQL that gives (run_id, part, statistic, value) or, for a
metric that has a value a request or a gap, its values (run_id, part, value). What is exact:

    whole     whole numbers: equal
    values    a value, or a point between two neighbours: equal but for the last bits of the interpolation
    sums      sums of reals: equal but for the order of adding, 1e-9
    shared    tokens of a reply are shared out over its events: to 2^-24 of a token a reply
    bins      the same in milliseconds: to 2^-10 of a token an event; runs of more than 17 minutes have wider bins
"""

# `scoped` has each row once for its run, and once for its class where the run has several (2 to 64).
SCOPED = """
create or replace temp table scoped as
with inside as (
    select r.*, window_start_ns as t0, window_end_ns as t1, (window_end_ns - window_start_ns) / 1e9 as seconds,
           asked_rate is not null as open,
           coalesce(r.phase = 'measured' and planned_ns between window_start_ns and window_end_ns, false) as measured,
           coalesce(doubted_counts, '') as doubted, length(run_parts) as classes
    from requests r join runs using (run_id)
    join (select run_id, list(distinct class) filter (phase = 'measured') as run_parts from requests group by run_id)
    using (run_id)
)
select *, '' as part from inside
union all select *, 'class=' || class from inside where classes between 2 and 64
"""

EVENTS = """
create or replace temp table events as
with each as (
    select run_id, part, seq, turn, measured, outcome, sent_ns, unnest(event_us) as us, unnest(event_kind) as kind,
           unnest(event_tokens) as tokens, generate_subscripts(event_us, 1) as i
    from scoped where streamed and sent_ns is not null
)
select *, greatest(us - lag(us) over reply, 0) / 1000.0 as gap_ms, row_number() over reply as nth,
       count(*) over whole as outputs, bool_and(tokens > 0) over whole as known,
       bool_and(tokens > 0 or first) over whole as known_later, sum(tokens) over whole as told
from (select *, i = min(i) over (partition by run_id, part, seq, turn) as first from each where kind & 14 > 0)
window reply as (partition by run_id, part, seq, turn order by i), whole as (partition by run_id, part, seq, turn)
"""

# What arrived of each success, whoever asked for it.
ARRIVALS = """
create or replace temp table arrivals as
select s.run_id, s.part, s.t0, s.t1, s.seconds, s.end_ns, s.input_tokens, s.output_tokens,
       case when s.doubted not like '%cached%' then s.cached_tokens end as cached, e.outputs,
       coalesce(e.first_ns, s.end_ns) as answered_ns,
       case when e.outputs is null then (s.end_ns > t0 and s.end_ns <= t1)::int
            else e.inside / e.weights end as share
from scoped s left join (
    select e.run_id, e.part, e.seq, e.turn, any_value(outputs) as outputs, min(sent_ns + us * 1000) as first_ns,
           sum(case when known then tokens else 1 end)
               filter (sent_ns + us * 1000 > window_start_ns and sent_ns + us * 1000 <= window_end_ns) as within,
           coalesce(within, 0)::double as inside, sum(case when known then tokens else 1 end)::double as weights
    from events e join runs using (run_id) where outcome = 'success' group by all
) e using (run_id, part, seq, turn)
where s.outcome = 'success' and s.sent_ns is not null
"""

SUCCESSES = "from scoped where measured and outcome = 'success'"
LATENCY = ["count", "mean", "std", "min", "max", "p50", "p90", "p95", "p99", "p99.9"]
LENGTH = ["sum", "mean", "min", "max"]


def column(value, rows=SUCCESSES):
    return f"select run_id, part, ({value})::double as value {rows}"


GAPS = "from events where measured and outcome = 'success' and nth > 1"
STALLS = f"""
select run_id, part, gap_ms as value
from (select *, median(gap_ms) over (partition by run_id, part, seq, turn) as usual {GAPS})
where usual > 0 and gap_ms > 5 * usual
"""

# Values of requests or gaps: metric, SQL of the values, statistics.
VALUES = [
    ("ttft", column("ttft_ms"), LATENCY),
    ("ttfo", column("ttfo_ms"), LATENCY),
    ("itl_request", column("itl_mean_ms"), LATENCY),
    ("tpot", column("tpot_ms"), LATENCY),
    ("ntpot", column("ntpot_ms"), LATENCY),
    ("e2el", column("e2el_ms"), LATENCY),
    ("response_ttft", column("response_ttft_ms"), LATENCY),
    ("response_e2el", column("response_e2el_ms"), LATENCY),
    ("queue_delay", column("queue_delay_ms", "from scoped where measured and sent_ns is not null"), LATENCY),
    ("lateness", column("lateness_ms", "from scoped where measured and sent_ns is not null"), LATENCY),
    ("output_tps_per_user", column("case when tpot_ms > 0 then 1000 / tpot_ms end"), LATENCY),
    ("input_tokens", column("input_tokens"), LENGTH),
    ("output_tokens", column("output_tokens"), LENGTH),
    ("total_tokens", column("input_tokens + output_tokens"), LENGTH),
    ("itl", f"select run_id, part, gap_ms as value {GAPS}", LATENCY),
    ("itl_token", f"select run_id, part, gap_ms / tokens as value {GAPS} and known_later", LATENCY),
    ("stall", STALLS, ["count", "max", "sum"]),
]

STATISTICS = {
    "count": ("whole", "count(value)"),
    "mean": ("sums", "avg(value)"),
    "std": ("sums", "stddev_pop(value)"),
    "min": ("values", "min(value)"),
    "max": ("values", "max(value)"),
    "sum": ("sums", "sum(value)"),
    "p50": ("values", "quantile_cont(value, 0.5)"),
    "p90": ("values", "quantile_cont(value, 0.9)"),
    "p95": ("values", "quantile_cont(value, 0.95)"),
    "p99": ("values", "quantile_cont(value, 0.99)"),
    "p99.9": ("values", "quantile_cont(value, 0.999)"),
}

MEASURED = "from scoped where measured group by run_id, part"
OF_SUCCESSES = f"{SUCCESSES} group by run_id, part"
CACHED = "case when doubted not like '%cached%' and input_tokens is not null then cached_tokens end"
UNCACHED = f"count(*) = count({CACHED}) and count(*) > 0"
WINDOW = "(t0, t1]"

# Numbers of a run: metric, statistic, how exact, SQL of (run_id, part, value).
NUMBERS = [
    ("duration", "sum", "sums", "select run_id, part, any_value(seconds) as value from scoped group by run_id, part"),
    ("requests", "count", "whole", f"select run_id, part, count(*) as value {MEASURED}"),
    ("requests", "rate", "sums", """
        select run_id, part, count(*) filter (end_ns > t0 and end_ns <= t1) / any_value(seconds) as value
        from arrivals group by run_id, part"""),
    ("errors", "count", "whole", f"select run_id, part, count(*) filter (outcome <> 'success') as value {MEASURED}"),
    ("errors", "share", "sums", f"select run_id, part, avg((outcome <> 'success')::int) as value {MEASURED}"),
    ("goodput", "count", "whole", f"select run_id, part, count(*) filter (good) as value {MEASURED} having count(good) > 0"),
    ("goodput", "rate", "sums", f"select run_id, part, count(*) filter (good) / any_value(seconds) as value {MEASURED} having count(good) > 0"),
    ("goodput", "share", "sums", f"select run_id, part, avg(good::int) as value {MEASURED}"),
    ("input_tokens", "rate", "sums", """
        select run_id, part, coalesce(sum(input_tokens) filter (answered_ns > t0 and answered_ns <= t1), 0)
                             / any_value(seconds) as value from arrivals group by run_id, part"""),
    ("output_tokens", "rate", "shared", """
        select run_id, part, coalesce(sum(output_tokens * share), 0) / any_value(seconds) as value
        from arrivals group by run_id, part"""),
    ("total_tokens", "rate", "shared", """
        select run_id, part, (coalesce(sum(input_tokens) filter (answered_ns > t0 and answered_ns <= t1), 0)
                              + coalesce(sum(output_tokens * share), 0)) / any_value(seconds) as value
        from arrivals group by run_id, part"""),
    ("output_tokens", "peak", "bins", """
        with shared as (
            select a.run_id, a.part, any_value(a.seconds) as seconds, (e.sent_ns + e.us * 1000) // 1000000 as ms,
                   sum(a.output_tokens * case when known then tokens / told else 1 / e.outputs end) as tokens
            from scoped a join events e using (run_id, part, seq, turn)
            where a.outcome = 'success' and e.sent_ns + e.us * 1000 > t0 and e.sent_ns + e.us * 1000 <= t1
            group by a.run_id, a.part, ms
            union all
            select run_id, part, any_value(seconds), end_ns // 1000000 as ms, sum(output_tokens) from arrivals
            where outputs is null and end_ns > t0 and end_ns <= t1 group by run_id, part, ms
        ), bins as (
            select run_id, part, seconds, ms, sum(tokens) as tokens from shared group by all
        )
        select run_id, part, max(here) as value from (
            select *, sum(tokens) over (partition by run_id, part order by ms range between 999 preceding and current row)
                      as here from bins
        ) where seconds >= 1 group by run_id, part having max(here) > 0"""),
    *[
        ("output_tokens", f"from_{source}", "whole",
         f"select run_id, part, count(*) filter (output_tokens_source = '{source}') as value {MEASURED}".replace(
             "where measured", "where measured and outcome = 'success'"))
        for source in ("usage", "tokenizer", "events")
    ],
    ("cached_tokens", "sum", "whole",
     f"select run_id, part, sum({CACHED}) as value {OF_SUCCESSES} having count({CACHED}) > 0"),
    ("cached_tokens", "share", "sums", f"""
        select run_id, part, sum({CACHED}) / sum(input_tokens) filter ({CACHED} is not null) as value
        {OF_SUCCESSES} having count({CACHED}) > 0"""),
    ("uncached_input_tokens", "sum", "whole",
     f"select run_id, part, sum(input_tokens) - sum({CACHED}) as value {OF_SUCCESSES} having {UNCACHED}"),
    ("uncached_input_tokens", "rate", "sums", f"""
        select run_id, part, coalesce(sum(greatest(input_tokens - cached, 0))
                                      filter (answered_ns > t0 and answered_ns <= t1), 0) / any_value(seconds) as value
        from arrivals semi join (select run_id, part {OF_SUCCESSES} having {UNCACHED}) using (run_id, part)
        group by run_id, part"""),
    ("wasted_tokens", "sum", "whole", f"""
        select run_id, part, coalesce(sum(output_tokens) filter (outcome <> 'success'), 0) as value {MEASURED}"""),
    ("forced_length", "share", "sums", f"select run_id, part, avg(forced_length::int) as value {MEASURED}"),
    ("synthetic_text", "share", "sums", f"select run_id, part, avg(synthetic_text::int) as value {MEASURED}"),
    ("audio_seconds", "sum", "sums",
     f"select run_id, part, sum(audio_ms / 1e3) as value {OF_SUCCESSES} having count(audio_ms) > 0"),
    ("audio_seconds", "rate", "sums", f"""
        select run_id, part, sum(audio_ms / 1e3) / any_value(seconds) as value
        {OF_SUCCESSES} having count(audio_ms) > 0"""),
    ("concurrency", "mean", "sums", """
        select run_id, part, coalesce(sum(least(greatest(end_ns, sent_ns), t1) - greatest(sent_ns, t0))
                                      filter (least(greatest(end_ns, sent_ns), t1) > greatest(sent_ns, t0)), 0)
                             / (any_value(seconds) * 1e9) as value
        from scoped group by run_id, part"""),
    ("concurrency", "max", "whole", """
        with changes as (
            select run_id, part, greatest(sent_ns, t0) as moment, 1 as change from scoped
            where least(greatest(end_ns, sent_ns), t1) > greatest(sent_ns, t0)
            union all select run_id, part, least(greatest(end_ns, sent_ns), t1), -1 from scoped
            where least(greatest(end_ns, sent_ns), t1) > greatest(sent_ns, t0)
        ), levels as (
            select run_id, part, sum(change) over (partition by run_id, part order by moment, change
                                                   rows unbounded preceding) as level from changes
        )
        select run_id, part, coalesce(max(level), 0) as value
        from (select distinct run_id, part from scoped) left join levels using (run_id, part) group by run_id, part"""),
]

# Failures by kind, whatever kinds there are.
FAILURES = """
select run_id, part, outcome as statistic, count(*) as value from scoped
where measured and outcome <> 'success' group by all
"""

# By which column a request is judged, from the planned time in an open loop, and what a missing value means.
LIMITS = """
create or replace temp table scoped as
select s.*, case when run_id in (select run_id from limits) then outcome = 'success' and not exists (
    select 1 from limits l where l.run_id = s.run_id and not coalesce(case l.metric
        when 'ttft' then case when open and not l.from_sent then response_ttft_ms else ttft_ms end
        when 'response_ttft' then response_ttft_ms
        when 'ttfo' then ttfo_ms
        when 'e2el' then case when open and not l.from_sent then response_e2el_ms else e2el_ms end
        when 'response_e2el' then response_e2el_ms
        when 'tpot' then tpot_ms when 'ntpot' then ntpot_ms
        when 'itl' then itl_mean_ms when 'itl_request' then itl_mean_ms
        when 'queue_delay' then queue_delay_ms when 'lateness' then lateness_ms end <= l.ms,
        l.metric in ('tpot', 'ntpot', 'itl', 'itl_request')
        or l.metric in ('ttft', 'ttfo', 'response_ttft') and not streamed)) end as good
from scoped s
"""

# How far a number may be off, relative to itself, and in tokens of a second.
EXACT = {"whole": (0, 0), "values": (1e-12, 1e-9), "sums": (1e-9, 1e-9), "shared": (1e-9, 1e-3), "bins": (1e-9, 1)}


def compare(duckdb, limits):
    """Compares every number of the views `requests`, `runs`, `statistics`; `limits`: run_id to the limits of its
    objectives, (metric, ms, whether they count from the send); a run that is not in it has goodput by limits that nobody knows. Returns, by exactness,
    how many numbers were compared, and those that are off."""
    duckdb.sql("create or replace temp table limits (run_id varchar, metric varchar, ms double, from_sent boolean)")
    for run, of_run in limits.items():
        for limit in of_run:
            duckdb.execute("insert into limits values (?, ?, ?, ?)", (run, *limit))
    for sql in (SCOPED, LIMITS, EVENTS, ARRIVALS):
        duckdb.sql(sql)
    duckdb.sql("create or replace temp table own (run_id varchar, part varchar, metric varchar, statistic varchar, "
               "exact varchar, value double)")
    for metric, values, statistics in VALUES:
        all_of = ", ".join(f"{STATISTICS[name][1]} as \"{name}\"" for name in statistics)
        names = ", ".join(f'"{name}"' for name in statistics)
        exact = " ".join(f"when '{name}' then '{STATISTICS[name][0]}'" for name in statistics)
        duckdb.sql(f"""
            insert into own select run_id, part, '{metric}', statistic, case statistic {exact} end, value from (
                unpivot (select run_id, part, {all_of.replace('count(value)', 'count(value)::double')}
                         from ({values}) where value is not null group by run_id, part)
                on {names} into name statistic value value)""")
    for metric, statistic, exact, sql in NUMBERS:
        duckdb.sql(f"insert into own select run_id, part, '{metric}', '{statistic}', '{exact}', value from ({sql})")
    duckdb.sql(f"insert into own select run_id, part, 'errors', statistic, 'whole', value from ({FAILURES})")
    rows = duckdb.sql("""
        select run_id, run, part, metric, statistic, exact, own.value, stored.value
        from (from own where value is not null and (part = '' or run_id in (
            select run_id from statistics where part <> '')))
        own full join (
            from statistics join runs using (experiment_id, run_id, folder, run, cell) where rows_written > 0
        ) stored using (run_id, part, metric, statistic)""").fetchall()
    counts, wrong = {}, []
    for run_id, run, part, metric, statistic, exact, mine, theirs in rows:
        if metric == "goodput" and run_id not in limits:
            continue
        if mine is None and theirs is None:
            counts["null"] = counts.get("null", 0) + 1
            continue
        # Nothing seen is no row here, and a count or a sum of 0 there.
        if mine is None and theirs == 0:
            mine, exact = 0, exact or "whole"
        counts[exact] = counts.get(exact, 0) + 1
        relative, absolute = EXACT.get(exact, (0, 0))
        if mine is None or theirs is None or abs(mine - theirs) > max(relative * abs(theirs), absolute):
            wrong.append((run, part, metric, statistic, exact, mine, theirs))
    return counts, wrong
