//! `Metric`: what is measured, one row each. Names, columns, objectives, plots, tables, the CSV and the
//! documentation are made from these rows: a new metric of a request is a row and nothing else, one of a
//! run as a whole a row and its number in `numbers`.

use super::statistic::Statistic::{
    self, Count, Max, Mean, Median, Min, Peak, Percentile, Rate, Share, Std, Sum,
};
use super::statistic::Unit;
use crate::lang::Lang;
use crate::record::{Record, Span, stalls};

/// Which of two values one would rather have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    Lower,
    Higher,
    /// It says what the load was, not how well it went.
    Neither,
}

/// Where the values come from.
#[derive(Debug, Clone, Copy)]
pub enum MetricReader {
    /// One value of a request, where it was observed.
    Each(fn(&Record) -> Option<f64>),
    /// Any number of values of a request, pooled over all of them.
    Many(fn(&Record) -> Vec<f64>),
    /// The counts of a run: [`super::Summary::number`].
    Run,
    /// The means that the server's own counters tell.
    Server(Span),
}

/// What a request is under a limit on a value that was not observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Fails,
    /// A streamed reply without a first token is no good one; one that is not streamed has none.
    FailsStreams,
    /// It needs a second token.
    Passes,
}

/// What is known of a metric.
#[derive(Debug, Clone, Copy)]
pub struct About {
    pub name: &'static str,
    /// Of one value.
    pub unit: Unit,
    pub better: Better,
    pub reader: MetricReader,
    /// Values are those of every request that was sent, not of successes alone.
    pub of_all_sent: bool,
    /// The statistics that it has, percentiles apart.
    pub statistics: &'static [Statistic],
    pub percentiles: bool,
    /// The statistics that are columns of `runs.parquet`, in two groups, and where a group stands among all.
    pub columns: [(u8, &'static [Statistic]); 2],
    /// The column of `requests/part-*.parquet`.
    pub stored: Option<&'static str>,
    /// The metric that limits a single request under this name, and what a missing value means.
    limit: Option<(Option<Metric>, Missing)>,
    /// The same from the planned time on: waiting included.
    from_planned: Option<Metric>,
    /// Numbers with a word or a column of their own: statistic, word, column; empty where there is none.
    own: &'static [(Statistic, &'static str, &'static str)],
    /// What else people call it.
    pub called: &'static [&'static str],
    /// As the head of a column, as the first cell of a row, and written out; empty: by its name.
    heads: [&'static str; 2],
    chinese_row: &'static str,
    chinese_long: &'static str,
    /// What it is, in English and Chinese.
    says: [&'static str; 2],
}

/// What a sample of values has.
const SAMPLE: &[Statistic] = &[Mean, Median, Std, Min, Max, Sum, Count];
const TOKENS: &[Statistic] = &[Mean, Median, Std, Min, Max, Sum, Count, Rate];
const OUTPUT: &[Statistic] = &[Mean, Median, Std, Min, Max, Sum, Count, Rate, Peak];

/// The columns of a latency, behind all others, and those of a length.
const LATENCIES: u8 = 200;
const LATENCY: &[Statistic] = &[
    Count,
    Mean,
    Std,
    Min,
    Max,
    Percentile(50.0),
    Percentile(90.0),
    Percentile(95.0),
    Percentile(99.0),
    Percentile(99.9),
];
const LENGTH: &[Statistic] = &[Sum, Rate, Mean, Min, Max];

const fn sample(name: &'static str, unit: Unit, better: Better) -> About {
    About {
        name,
        unit,
        better,
        reader: MetricReader::Run,
        of_all_sent: false,
        statistics: SAMPLE,
        percentiles: true,
        columns: [(0, &[]); 2],
        stored: None,
        limit: None,
        from_planned: None,
        own: &[],
        called: &[],
        heads: ["", ""],
        chinese_row: "",
        chinese_long: "",
        says: ["", ""],
    }
}

const fn time(name: &'static str) -> About {
    sample(name, Unit::Ms, Better::Lower).columns(LATENCIES, LATENCY)
}

const fn counts(name: &'static str, better: Better, statistics: &'static [Statistic]) -> About {
    About { percentiles: false, statistics, ..sample(name, Unit::Plain, better) }
}

const fn server(name: &'static str, span: Span) -> About {
    About { unit: Unit::Ms, reader: MetricReader::Server(span), ..counts(name, Better::Lower, &[Mean]) }
}

fn total_tokens(record: &Record) -> Option<f64> {
    let (output, _) = record.output_tokens()?;
    Some(f64::from(record.input_tokens()?) + f64::from(output))
}

/// The parts of a row.
impl About {
    const fn each(self, read: fn(&Record) -> Option<f64>) -> About {
        About { reader: MetricReader::Each(read), ..self }
    }

    const fn many(self, read: fn(&Record) -> Vec<f64>) -> About {
        About { reader: MetricReader::Many(read), ..self }
    }

    const fn of_all_sent(self) -> About {
        About { of_all_sent: true, ..self }
    }

    const fn unit(self, unit: Unit) -> About {
        About { unit, ..self }
    }

    const fn statistics(self, statistics: &'static [Statistic]) -> About {
        About { statistics, ..self }
    }

    const fn columns(self, place: u8, statistics: &'static [Statistic]) -> About {
        About { columns: [(place, statistics), (0, &[])], ..self }
    }

    const fn more_columns(self, place: u8, statistics: &'static [Statistic]) -> About {
        About { columns: [self.columns[0], (place, statistics)], ..self }
    }

    const fn stored(self, column: &'static str) -> About {
        About { stored: Some(column), ..self }
    }

    const fn limits(self, missing: Missing) -> About {
        About { limit: Some((None, missing)), ..self }
    }

    const fn limits_as(self, metric: Metric, missing: Missing) -> About {
        About { limit: Some((Some(metric), missing)), ..self }
    }

    const fn planned_as(self, metric: Metric) -> About {
        About { from_planned: Some(metric), ..self }
    }

    const fn own(self, own: &'static [(Statistic, &'static str, &'static str)]) -> About {
        About { own, ..self }
    }

    const fn called(self, called: &'static [&'static str]) -> About {
        About { called, ..self }
    }

    const fn heads(self, english: &'static str, chinese: &'static str) -> About {
        About { heads: [english, chinese], ..self }
    }

    const fn chinese(self, row: &'static str, long: &'static str) -> About {
        About { chinese_row: row, chinese_long: long, ..self }
    }

    const fn says(self, english: &'static str, chinese: &'static str) -> About {
        About { says: [english, chinese], ..self }
    }
}

/// The metrics and their rows, in the order in which they are listed.
macro_rules! metrics {
    ($($metric:ident = $about:expr,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Metric {
            $($metric,)*
        }

        impl Metric {
            pub const ALL: &[Metric] = &[$(Metric::$metric,)*];
        }

        static METRICS: &[About] = &[$($about,)*];
    };
}

metrics! {
    Ttft = time("ttft")
        .each(Record::ttft_ms)
        .stored("ttft_ms")
        .limits(Missing::FailsStreams)
        .planned_as(Metric::ResponseTtft)
        .called(&["time_to_first_token", "first_token"])
        .chinese("首令牌 ttft", "首令牌时间")
        .says("from the send to the first event with output", "从发出到第一个有输出的事件"),
    Ttfo = time("ttfo")
        .each(Record::ttfo_ms)
        .stored("ttfo_ms")
        .limits(Missing::FailsStreams)
        .chinese("首正文 ttfo", "首正文时间")
        .says("from the send to the first event with content; reasoning does not count", "从发出到第一个有正文的事件，不计思考"),
    ItlRequest = time("itl_request")
        .each(Record::itl_request_ms)
        .stored("itl_mean_ms")
        .limits(Missing::Passes)
        .says("the mean gap between output events of a request", "一个请求的输出事件之间的平均间隔"),
    ItlToken = time("itl_token")
        .many(Record::itl_token_ms)
        .says("each gap divided by the tokens of its later event", "每个间隔除以后一事件的令牌数"),
    Tpot = time("tpot")
        .each(Record::tpot_ms)
        .stored("tpot_ms")
        .limits(Missing::Passes)
        .called(&["time_per_output_token"])
        .chinese("每令牌 tpot", "每令牌时间")
        .says("time per output token after the first", "首令牌之后每个输出令牌的时间"),
    Ntpot = time("ntpot")
        .each(Record::ntpot_ms)
        .stored("ntpot_ms")
        .limits(Missing::Passes)
        .says("e2el divided by the output tokens", "e2el 除以输出令牌数"),
    E2el = time("e2el")
        .each(Record::e2el_ms)
        .stored("e2el_ms")
        .limits(Missing::Fails)
        .planned_as(Metric::ResponseE2el)
        .called(&["latency", "e2e", "e2e_latency", "end_to_end", "end_to_end_latency", "request_latency"])
        .chinese("端到端 e2el", "端到端延迟")
        .says("from the send to the last event with output", "从发出到最后一个有输出的事件"),
    ResponseTtft = time("response_ttft")
        .each(Record::response_ttft_ms)
        .stored("response_ttft_ms")
        .limits(Missing::FailsStreams)
        // Without their names, so that a table fits 80 columns.
        .chinese("含等待首令牌", "含等待首令牌时间")
        .says("ttft from the planned time: waiting included", "从计划时间算起的 ttft，含等待"),
    ResponseE2el = time("response_e2el")
        .each(Record::response_e2el_ms)
        .stored("response_e2el_ms")
        .limits(Missing::Fails)
        .chinese("含等待端到端", "含等待端到端延迟")
        .says("e2el from the planned time: waiting included", "从计划时间算起的 e2el，含等待"),
    QueueDelay = time("queue_delay")
        .each(Record::queue_delay_ms)
        .of_all_sent()
        .stored("queue_delay_ms")
        .limits(Missing::Fails)
        .called(&["queue", "queue_time"])
        .chinese("排队", "排队时间")
        .says("from the planned time to the send", "从计划时间到发出"),
    Lateness = time("lateness")
        .each(Record::lateness_ms)
        .of_all_sent()
        .stored("lateness_ms")
        .limits(Missing::Fails)
        .chinese("滞后", "滞后时间")
        .says("how much later than it could a request was sent: our own fault", "比可以发出的时刻晚了多少：发压端自己的责任"),
    OutputTpsPerUser = sample("output_tps_per_user", Unit::PerSecond, Better::Higher)
        .each(Record::output_tps_per_user)
        .columns(LATENCIES, LATENCY)
        .says("output tokens per second of one request: 1000 / tpot", "单个请求每秒的输出令牌数：1000 / tpot"),
    InputTokens = sample("input_tokens", Unit::Plain, Better::Neither)
        .each(|record| record.input_tokens().map(f64::from))
        .stored("input_tokens")
        .statistics(TOKENS)
        .columns(50, LENGTH)
        .called(&["prompt_tokens"])
        .heads("input", "输入令牌")
        .says("input tokens of a request", "一个请求的输入令牌数"),
    OutputTokens = sample("output_tokens", Unit::Plain, Better::Higher)
        .each(|record| record.output_tokens().map(|(n, _)| f64::from(n)))
        .stored("output_tokens")
        .statistics(OUTPUT)
        .columns(60, LENGTH)
        .more_columns(80, &[Peak])
        .own(&[(Peak, "peak_output_tokens_per_s", "peak_output_tokens_per_s"), (Rate, "output_throughput", "")])
        .called(&["completion_tokens", "generated_tokens", "tokens"])
        .heads("output", "输出令牌")
        .says("output tokens of a request; peak: the most in any second", "一个请求的输出令牌数；peak：任意一秒内最多"),
    TotalTokens = sample("total_tokens", Unit::Plain, Better::Higher)
        .each(total_tokens)
        .statistics(TOKENS)
        .columns(70, LENGTH)
        .own(&[(Rate, "total_token_throughput", "")])
        .heads("total", "总令牌")
        .says("input and output tokens of a request", "一个请求的输入与输出令牌数之和"),
    Stall = sample("stall", Unit::Ms, Better::Lower)
        .many(|record| stalls(&record.itl_ms()))
        .columns(150, &[Count, Max, Sum])
        .says("a gap of more than 5 x the median gap of its request", "超过该请求间隔中位数 5 倍的间隔"),
    Itl = time("itl")
        .many(Record::itl_ms)
        .limits_as(Metric::ItlRequest, Missing::Passes)
        .called(&["inter_token_latency", "intertoken_latency"])
        .chinese("令牌间 itl", "令牌间延迟")
        .says("gaps between successive output events", "相邻输出事件之间的间隔"),
    Requests = counts("requests", Better::Higher, &[Count, Rate])
        .columns(20, &[Count, Rate])
        .own(&[(Rate, "request_throughput", "")])
        .called(&["completed", "successes"])
        .heads("requests", "请求")
        .says("count: planned in the window; rate: successes that ended in it", "count：窗口内计划的；rate：窗口内完成的成功请求"),
    Errors = counts("errors", Better::Lower, &[Count, Share])
        .columns(30, &[Count, Share])
        .called(&["failures", "failed", "error"])
        .heads("errors", "失败")
        .says("requests that did not succeed", "未成功的请求"),
    Goodput = counts("goodput", Better::Higher, &[Count, Rate, Share])
        .columns(40, &[Count, Rate, Share])
        .heads("goodput", "有效请求")
        .says("requests that met every limit of the objectives", "满足全部目标的请求"),
    CachedTokens = counts("cached_tokens", Better::Neither, &[Sum, Share])
        .columns(90, &[Sum, Share])
        .says("input tokens from the server's prefix cache, by the replies", "回复报告的前缀缓存命中输入令牌"),
    UncachedInputTokens = counts("uncached_input_tokens", Better::Neither, &[Sum, Rate])
        .columns(100, &[Sum, Rate])
        .says("input tokens that no cache answered", "未命中缓存的输入令牌"),
    WastedTokens = counts("wasted_tokens", Better::Lower, &[Sum])
        .columns(110, &[Sum])
        .says("output tokens of failed requests", "失败请求的输出令牌"),
    ForcedLength = counts("forced_length", Better::Neither, &[Count, Share])
        .columns(120, &[Share])
        .says("requests that kept the model from ending its reply", "不许模型自行结束回复的请求"),
    SyntheticText = counts("synthetic_text", Better::Neither, &[Count, Share])
        .columns(130, &[Share])
        .says("requests whose prompt was made of random words", "提示词由随机词组成的请求"),
    Concurrency = counts("concurrency", Better::Neither, &[Mean, Max])
        .columns(160, &[Mean, Max])
        .called(&["in_flight", "users"])
        .heads("concurrency", "并发数")
        .says("requests between their send and their end", "已发出而未结束的请求数"),
    AudioSeconds = counts("audio_seconds", Better::Higher, &[Sum, Rate])
        .unit(Unit::Seconds)
        .columns(140, &[Sum, Rate])
        .own(&[(Rate, "rtfx", "rtfx")])
        .says("seconds of sound that were transcribed; rate: in a second", "已转写的音频秒数；rate：每秒转写的秒数"),
    Duration = counts("duration", Better::Neither, &[Sum])
        .unit(Unit::Seconds)
        .columns(10, &[Sum])
        .own(&[(Sum, "duration", "duration_s")])
        .heads("duration", "持续时间")
        .says("the window", "测量窗口"),
    ServerTtft = server("server_ttft", Span::Ttft)
        .says("time to the first token, by the server's counters", "服务器计数得出的首令牌时间"),
    ServerItl = server("server_itl", Span::Itl)
        .says("time between tokens, by the server's counters", "服务器计数得出的令牌间延迟"),
    ServerQueue = server("server_queue", Span::Queue)
        .says("time in the server's queue, by its counters", "服务器计数得出的排队时间"),
    ServerE2el = server("server_e2el", Span::E2el)
        .says("time of a whole request, by the server's counters", "服务器计数得出的端到端延迟"),
    ServerKvTransfer = server("server_kv_transfer", Span::KvTransfer)
        .says("time to move the KV cache, by the server's counters", "服务器计数得出的 KV 缓存传输时间"),
    ServerCachedTokens = counts("server_cached_tokens", Better::Neither, &[Sum, Share])
        .says("input tokens from the prefix cache, by the server's counters", "服务器计数得出的前缀缓存命中输入令牌"),
    SpecAcceptance = counts("spec_acceptance", Better::Higher, &[Share])
        .own(&[(Share, "", "spec_acceptance")])
        .says("drafted tokens that were accepted, by the server's counters", "服务器计数得出的草稿令牌接受率"),
}

impl Metric {
    /// Those whose statistics vLLM's results and the aggregated CSV have, in their order.
    pub const OF_VLLM: [Metric; 4] = [Metric::Ttft, Metric::Tpot, Metric::Itl, Metric::E2el];

    pub fn about(self) -> &'static About {
        &METRICS[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.about().name
    }

    pub fn all() -> impl Iterator<Item = Metric> + Clone {
        Metric::ALL.iter().copied()
    }

    /// Of which the server tells the mean by its own counters.
    pub fn span(self) -> Option<Span> {
        match self.about().reader {
            MetricReader::Server(span) => Some(span),
            _ => None,
        }
    }

    pub fn allows(self, statistic: Statistic) -> bool {
        let about = self.about();
        about.statistics.contains(&statistic) || about.percentiles && matches!(statistic, Percentile(_))
    }

    /// All values of one request; `None`: it has none of a single request.
    pub fn values(self, record: &Record) -> Option<Vec<f64>> {
        match self.about().reader {
            MetricReader::Each(read) => Some(read(record).into_iter().collect()),
            MetricReader::Many(read) => Some(read(record)),
            MetricReader::Run | MetricReader::Server(_) => None,
        }
    }

    /// Whether single requests have values of it.
    pub fn is_of_requests(self) -> bool {
        matches!(self.about().reader, MetricReader::Each(_) | MetricReader::Many(_))
    }

    /// The metric by which a limit under this name judges a request, and what a missing value means.
    /// `None`: no limit may be set on it.
    pub fn limit(self) -> Option<(Metric, Missing)> {
        self.about().limit.map(|(other, missing)| (other.unwrap_or(self), missing))
    }

    /// The metric that counts the wait before the send, too.
    pub fn when_planned(self) -> Metric {
        self.about().from_planned.unwrap_or(self)
    }

    /// Words that stand for a number alone, each with its statistic.
    pub fn words(self) -> impl Iterator<Item = (&'static str, Statistic)> {
        let own = self.about().own.iter().filter(|(_, word, _)| !word.is_empty());
        own.map(|(statistic, word, _)| (*word, *statistic))
    }

    /// The column of a statistic in `runs.parquet`, where it has a name of its own.
    pub fn own_column(self, statistic: Statistic) -> Option<&'static str> {
        let own = self.about().own.iter().find(|(of, _, column)| *of == statistic && !column.is_empty());
        own.map(|(_, _, column)| *column)
    }

    /// As the first cell of the row of a latency.
    pub fn row_head(self, lang: Lang) -> &'static str {
        let about = self.about();
        lang.pick(about.name, or(about.chinese_row, about.name))
    }

    /// As the head of a column.
    pub fn column_head(self, lang: Lang) -> &'static str {
        let about = self.about();
        let [english, chinese] = about.heads;
        let row = or(about.chinese_row, about.name).split(' ').next().unwrap_or_default();
        lang.pick(or(english, about.name), or(chinese, row))
    }

    /// As one writes it: TTFT, 首令牌时间.
    pub fn written_out(self, lang: Lang) -> String {
        let upper = self.name().to_uppercase();
        let chinese = self.about().chinese_long;
        lang.pick(upper.clone(), if chinese.is_empty() { upper } else { chinese.to_string() })
    }

    /// What it is, in one sentence.
    pub fn says(self, lang: Lang) -> &'static str {
        let [english, chinese] = self.about().says;
        lang.pick(english, chinese)
    }
}

fn or(word: &'static str, name: &'static str) -> &'static str {
    if word.is_empty() { name } else { word }
}
