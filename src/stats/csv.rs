//! The aggregated CSV: one row per run under an English and a Chinese header.
//!
//! Row 1 is English, row 2 Chinese, data from row 3; UTF-8 with a byte order mark, so that
//! spreadsheets show the Chinese; quoted where needed; numbers at full precision; null empty.

use super::metric::Metric;
use super::sample::supports;
use crate::csv::{CsvRecord, Records, Unclosed};
use crate::lang::Lang;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// The fixed columns in order, English and Chinese.
pub static HEADER: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let statistics = Metric::OF_VLLM.into_iter().flat_map(|metric| {
        let (name, words) = (metric.name(), metric.written_out(Lang::Chinese));
        [
            (format!("mean_{name}_ms"), format!("平均{words}(ms)")),
            (format!("median_{name}_ms"), format!("中位{words}(ms)")),
            (format!("std_{name}_ms"), format!("{words}标准差(ms)")),
            (format!("p99_{name}_ms"), format!("{words}P99(ms)")),
        ]
    });
    // They are made once.
    let statistics = statistics.map(|(english, chinese)| (&*english.leak(), &*chinese.leak()));
    RUN.into_iter().chain(statistics).chain(ORIGIN).collect()
});

/// What was run, and how fast it went.
const RUN: [(&str, &str); 16] = [
    ("date", "日期"),
    ("backend", "后端"),
    ("model_id", "模型ID"),
    ("tokenizer_id", "分词器ID"),
    ("num_prompts", "提示数量"),
    ("request_rate", "请求速率"),
    ("burstiness", "突发性"),
    ("max_concurrency", "最大并发数"),
    ("duration", "持续时间"),
    ("completed", "完成数量"),
    ("total_input_tokens", "总输入令牌数"),
    ("total_output_tokens", "总输出令牌数"),
    ("request_throughput", "请求吞吐量"),
    ("request_goodput", "请求有效吞吐量"),
    ("output_throughput", "输出吞吐量"),
    ("total_token_throughput", "总令牌吞吐量"),
];

/// Where it comes from, and what else is known of it.
const ORIGIN: [(&str, &str); 10] = [
    ("input_len", "输入长度"),
    ("output_len", "输出长度"),
    ("filename", "文件名"),
    ("result_dir", "结果目录"),
    ("failed", "失败数量"),
    ("tp", "张量并行度"),
    ("data_type", "数据类型"),
    ("batch", "批处理大小"),
    ("prompt_tokens", "输入令牌数/请求"),
    ("completion_tokens", "输出令牌数/请求"),
];

/// Those among them that are labels of the user.
pub const LABELS: [&str; 3] = ["tp", "data_type", "batch"];

/// Columns of some runs alone: they are there when one of the rows has a value.
pub const FURTHER: [(&str, &str); 1] = [("rtfx", "实时倍率RTFx")];

/// The last columns of every file, behind metadata and whatever else there is.
pub const LAST: [(&str, &str); 2] = [("verdict", "结论"), ("marks", "标记")];

const MARK: &str = "\u{feff}";

/// Where a result comes from.
#[derive(Debug, Clone, Default)]
pub struct RowOrigin {
    pub input_len: Option<u64>,
    pub output_len: Option<u64>,
    pub filename: String,
    pub result_dir: String,
}

/// A row from the keys of a vLLM result (see [`super::vllm`]). Lists are left out; keys that
/// are no fixed column stay, as further columns.
pub fn row(result: &Map<String, Value>, origin: &RowOrigin) -> Map<String, Value> {
    let scalar = |(_, value): &(&String, &Value)| !value.is_array() && !value.is_object();
    let mut row: Map<String, Value> =
        result.iter().filter(scalar).map(|(key, value)| (key.clone(), value.clone())).collect();
    row.insert("input_len".into(), origin.input_len.into());
    row.insert("output_len".into(), origin.output_len.into());
    row.insert("filename".into(), origin.filename.clone().into());
    row.insert("result_dir".into(), origin.result_dir.clone().into());
    let mean = |total: &str| {
        let (total, completed) = (result.get(total)?.as_f64()?, result.get("completed")?.as_f64()?);
        (completed > 0.0).then(|| total / completed)
    };
    row.insert("prompt_tokens".into(), mean("total_input_tokens").into());
    row.insert("completion_tokens".into(), mean("total_output_tokens").into());
    row
}

/// What else is to be known of a run before its numbers are used, in words apart from its verdict:
/// the other verdicts that hold, remarks on the load, how it ended before its time, and `~` with each
/// percentile of `percentiles` that has too few values. `run` is a row of `runs.parquet`.
pub fn marks(run: &Map<String, Value>, percentiles: &[&str]) -> String {
    let text = |key: &str| run.get(key).and_then(Value::as_str).unwrap_or_default();
    let verdict = text("verdict");
    let mut marks: Vec<String> = Vec::new();
    let listed = text("verdicts").split(',').chain(text("remarks").split(','));
    marks.extend(listed.filter(|word| !word.is_empty() && *word != verdict).map(String::from));
    match text("stopped_by") {
        "interrupted" => marks.push("interrupted".into()),
        "killed" => marks.push("recovered".into()),
        stopped if stopped.starts_with("ended early") => marks.push("ended_early".into()),
        _ => {}
    }
    marks.extend(percentiles.iter().filter(|column| is_weak(run, column)).map(|column| format!("~{column}")));
    marks.join(" ")
}

/// Whether a column such as `p99_ttft_ms` has a value of too few samples.
fn is_weak(run: &Map<String, Value>, column: &str) -> bool {
    let parts = column.strip_prefix('p').and_then(|rest| rest.strip_suffix("_ms")?.split_once('_'));
    let Some((p, metric)) = parts.filter(|_| run.get(column).is_some_and(Value::is_number)) else {
        return false;
    };
    let count = run.get(&format!("{metric}_count")).and_then(Value::as_f64);
    p.parse().ok().zip(count).is_some_and(|(p, count)| !supports(count as u64, p))
}

/// The whole file: the fixed columns, then every further key that has a value in any row, in
/// order of first appearance, under its English name in both headers unless it is one of
/// [`FURTHER`], then [`LAST`].
pub fn write(rows: &[Map<String, Value>]) -> Vec<u8> {
    let columns = columns(rows);
    let mut text = String::from(MARK);
    line(&mut text, columns.iter().map(|(english, _)| english.to_string()));
    line(&mut text, columns.iter().map(|(_, chinese)| chinese.to_string()));
    lines(&mut text, rows, columns.iter().map(|(english, _)| *english));
    text.into_bytes()
}

/// The same as other programs like it: one header, no byte order mark. The ends of an interval stand behind
/// their value.
pub fn write_plain(rows: &[Map<String, Value>]) -> Vec<u8> {
    let all: Vec<&str> = columns(rows).into_iter().map(|(english, _)| english).collect();
    let end_of =
        |key: &&str, of: &str| [format!("{of}_low"), format!("{of}_high")].iter().any(|end| end == key);
    let is_end = |key: &&str| all.iter().any(|of| end_of(key, of));
    let mut names: Vec<&str> = Vec::new();
    for of in all.iter().filter(|key| !is_end(key)) {
        names.push(of);
        names.extend(all.iter().filter(|key| end_of(key, of)));
    }
    let mut text = String::new();
    line(&mut text, names.iter().map(|name| name.to_string()));
    lines(&mut text, rows, names.into_iter());
    text.into_bytes()
}

fn columns(rows: &[Map<String, Value>]) -> Vec<(&str, &str)> {
    let mut columns: Vec<(&str, &str)> = HEADER.to_vec();
    for (key, value) in rows.iter().flatten() {
        if !value.is_null() && !columns.iter().chain(&LAST).any(|(english, _)| english == key) {
            let known = FURTHER.into_iter().find(|(english, _)| english == key);
            columns.push(known.unwrap_or((key, key)));
        }
    }
    columns.extend(LAST);
    columns
}

fn lines<'a>(text: &mut String, rows: &[Map<String, Value>], columns: impl Iterator<Item = &'a str> + Clone) {
    for row in rows {
        line(text, columns.clone().map(|key| row.get(key).map_or(String::new(), cell)));
    }
}

fn line(text: &mut String, cells: impl Iterator<Item = String>) {
    for (i, cell) in cells.enumerate() {
        if i > 0 {
            text.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            text.push_str(&format!("\"{}\"", cell.replace('"', "\"\"")));
        } else {
            text.push_str(&cell);
        }
    }
    text.push_str("\r\n");
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Reads such a file back: one map a row, by English names; numbers as numbers, empty cells
/// as null. Files without a byte order mark, without quotes, without the Chinese row or without the
/// English one are read too, and those of spreadsheets with decimal commas. The error is a sentence with
/// the line.
pub fn parse_csv(bytes: &[u8]) -> Result<Vec<Map<String, Value>>, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|fault| format!("the CSV is not UTF-8 (byte {}): save it as such", fault.valid_up_to()))?;
    let mut lines = cells(text.strip_prefix(MARK).unwrap_or(text))?.into_iter();
    let (_, header) = lines.next().ok_or("the CSV is empty")?;
    // Old versions of the benchmark write `request_goodput:`.
    let names: Vec<String> = header.iter().map(|name| english(name.trim().trim_end_matches(':'))).collect();
    if let Some(twice) = (0..names.len()).find(|i| !names[*i].is_empty() && names[..*i].contains(&names[*i]))
    {
        return Err(format!("the CSV has two columns {:?}", names[twice]));
    }
    // Where commas part no cells, those within numbers are decimal ones.
    let first = text.strip_prefix(MARK).unwrap_or(text).trim_start().lines().next().unwrap_or_default();
    let comma = if first.contains(',') || first == "sep=," { None } else { Some(',') };
    let mut rows = Vec::new();
    let last = lines.len().checked_sub(1);
    for (i, (number, cells)) in lines.enumerate() {
        if cells.iter().all(|cell| cell.trim().is_empty()) || (i == 0 && is_chinese_header(&names, &cells)) {
            continue;
        }
        if cells.len() > names.len() {
            return Err(format!(
                "line {number} of the CSV has {} cells under {} names; is there a comma in an unquoted text?",
                cells.len(),
                names.len()
            ));
        }
        if cells.len() < names.len() && last == Some(i) && !text.ends_with(['\n', '\r']) {
            return Err(format!(
                "the CSV ends within line {number}, after {} of {} cells: write it again",
                cells.len(),
                names.len()
            ));
        }
        let values = cells.iter().map(|cell| value(cell, comma)).chain(std::iter::repeat(Value::Null));
        rows.push(names.iter().cloned().zip(values).collect());
    }
    Ok(rows)
}

fn is_chinese_header(names: &[String], cells: &[String]) -> bool {
    let known = |name: &String, cell: &String| {
        HEADER.iter().any(|(english, chinese)| english == name && *chinese == cell.trim())
    };
    names.iter().zip(cells).any(|(name, cell)| known(name, cell))
}

/// The English name of a column that may have a Chinese one.
fn english(name: &str) -> String {
    let mut known = HEADER.iter().chain(&FURTHER).chain(&LAST);
    known.find(|(_, chinese)| *chinese == name).map_or(name, |(english, _)| english).to_string()
}

/// `comma`: what stands before the decimals beside a point.
fn value(cell: &str, comma: Option<char>) -> Value {
    let text = cell.trim();
    if let Some((whole, decimals)) = comma.and_then(|comma| text.split_once(comma)) {
        let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        let number = format!("{whole}.{decimals}").parse::<f64>();
        if let (true, true, Ok(number)) = (digits(whole.trim_start_matches('-')), digits(decimals), number) {
            return number.into();
        }
    }
    if matches!(text, "" | "None" | "null" | "nan" | "NaN") {
        return Value::Null;
    }
    if let Ok(whole) = text.parse::<i64>() {
        // `007` is a name, not the number 7.
        return if whole.to_string() == text { whole.into() } else { text.into() };
    }
    let like_number = text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    match text.parse::<f64>() {
        Ok(number) if like_number && number.is_finite() => number.into(),
        _ => cell.into(),
    }
}

/// The cells of every record, with the number of its line from 1.
fn cells(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let read = |record: Result<CsvRecord, Unclosed>| match record {
        Ok(record) => {
            Ok((record.line, record.fields.into_iter().map(|field| field.text.into_owned()).collect()))
        }
        Err(unclosed) => Err(format!("line {} of the CSV opens a quote that is never closed", unclosed.line)),
    };
    Records::new(text).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(pairs: &[(&str, Value)]) -> Map<String, Value> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.clone())).collect()
    }

    #[test]
    fn the_file_begins_with_a_mark_an_english_and_a_chinese_row() {
        let bytes = write(&[]);
        assert_eq!(&bytes[..3], b"\xef\xbb\xbf");
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<&str> = text[3..].split("\r\n").collect();
        assert!(
            lines[0].starts_with("date,backend,model_id,tokenizer_id,num_prompts,request_rate,burstiness,")
        );
        assert!(lines[0].ends_with(
            "filename,result_dir,failed,tp,data_type,batch,prompt_tokens,completion_tokens,verdict,marks"
        ));
        assert!(
            lines[1].starts_with(
                "日期,后端,模型ID,分词器ID,提示数量,请求速率,突发性,最大并发数,持续时间,完成数量,"
            )
        );
        assert!(lines[1].ends_with(
            "文件名,结果目录,失败数量,张量并行度,数据类型,批处理大小,输入令牌数/请求,输出令牌数/请求,结论,标记"
        ));
        assert_eq!(lines[0].split(',').count(), 44);
    }

    #[test]
    fn cells_are_quoted_only_where_they_need_to_be() {
        let row = map(&[
            ("date", json!("a,b")),
            ("backend", json!("say \"hi\"\nthere")),
            ("model_id", json!("plain")),
        ]);
        let text = String::from_utf8(write(&[row])).unwrap();
        assert!(text.contains("\r\n\"a,b\",\"say \"\"hi\"\"\nthere\",plain,"));
    }

    #[test]
    fn what_was_written_reads_back_at_full_precision() {
        let rows = [
            map(&[
                ("date", json!("20261124-101500")),
                ("model_id", json!("a, \"b\"\r\nc")),
                ("request_rate", json!("inf")),
                ("num_prompts", json!(40)),
                ("mean_ttft_ms", json!(0.1 + 0.2)),
                ("request_goodput", Value::Null),
                ("gpus", json!(8)),
            ]),
            map(&[("num_prompts", json!(10)), ("p99.9_ttft_ms", json!(1.0))]),
        ];
        let back = parse_csv(&write(&rows)).unwrap();
        assert_eq!(back.len(), 2);
        for (row, back) in rows.iter().zip(&back) {
            for (key, value) in row {
                assert_eq!(back[key], *value, "{key}");
            }
        }
        assert_eq!(back[1]["gpus"], Value::Null);
        let extra: Vec<&str> = back[0].keys().skip(HEADER.len()).map(String::as_str).collect();
        assert_eq!(extra, ["gpus", "p99.9_ttft_ms", "verdict", "marks"]);
    }

    #[test]
    fn what_a_spreadsheet_makes_of_a_file_is_read_too() {
        for text in ["input_len;output_throughput\n512;22,5\n", "输入长度,输出吞吐量\n512,22.5\n"] {
            let rows = parse_csv(text.as_bytes()).unwrap();
            assert_eq!(rows[0]["input_len"], json!(512), "{text}");
            assert_eq!(rows[0]["output_throughput"], json!(22.5), "{text}");
        }
        let told = parse_csv(b"input_len,output_throughput,output_throughput\n1,2,3\n").unwrap_err();
        assert_eq!(told, "the CSV has two columns \"output_throughput\"");
    }

    #[test]
    fn verdict_and_marks_stand_behind_all_that_was_there_before() {
        let rows = [
            map(&[("verdict", json!("valid")), ("marks", json!("~p99_ttft_ms")), ("gpus", json!(8))]),
            map(&[("rtfx", json!(2.5)), ("verdict", Value::Null)]),
        ];
        let text = String::from_utf8(write(&rows)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with(",completion_tokens,gpus,rtfx,verdict,marks"), "{text}");
        assert!(lines[1].ends_with(",输出令牌数/请求,gpus,实时倍率RTFx,结论,标记"), "{text}");
        assert!(lines[2].ends_with(",8,,valid,~p99_ttft_ms") && lines[3].ends_with(",,2.5,,"), "{text}");
    }

    #[test]
    fn marks_are_what_speaks_against_a_row_beside_its_verdict() {
        let run = map(&[
            ("verdict", json!("not_steady")),
            ("verdicts", json!("not_steady,too_few_samples")),
            ("remarks", json!("prompts_cut")),
            ("stopped_by", json!("interrupted")),
            ("p99_ttft_ms", json!(5.0)),
            ("ttft_count", json!(40)),
            ("p99_itl_ms", json!(5.0)),
            ("itl_count", json!(40_000)),
            ("p99_e2el_ms", Value::Null),
            ("e2el_count", json!(0)),
        ]);
        let percentiles = ["p99_ttft_ms", "p99_itl_ms", "p99_e2el_ms", "p99_tpot_ms"];
        assert_eq!(marks(&run, &percentiles), "too_few_samples prompts_cut interrupted ~p99_ttft_ms");
        let valid =
            [("verdict", json!("valid")), ("verdicts", json!("valid")), ("stopped_by", json!("requests"))];
        assert_eq!(marks(&map(&valid), &percentiles), "");
        assert_eq!(marks(&map(&[("stopped_by", json!("killed"))]), &percentiles), "recovered");
        let early = [("stopped_by", json!("ended early: 5 requests failed"))];
        assert_eq!(marks(&map(&early), &percentiles), "ended_early");
        assert_eq!(marks(&Map::new(), &percentiles), "", "a folder of an old version");
    }

    #[test]
    fn a_row_has_its_origin_and_the_means_of_a_request() {
        let result = map(&[
            ("completed", json!(40)),
            ("total_input_tokens", json!(20_440)),
            ("total_output_tokens", json!(20_480)),
            ("tp", json!("8")),
            ("itls", json!([[0.1]])),
        ]);
        let origin = RowOrigin {
            input_len: Some(512),
            output_len: None,
            filename: "f.json".into(),
            result_dir: "d".into(),
        };
        let row = row(&result, &origin);
        assert_eq!((&row["prompt_tokens"], &row["completion_tokens"]), (&json!(511.0), &json!(512.0)));
        assert_eq!((&row["input_len"], &row["output_len"]), (&json!(512), &Value::Null));
        assert_eq!((&row["tp"], row.get("itls")), (&json!("8"), None));
    }

    #[test]
    fn a_run_without_a_success_has_no_means() {
        let row =
            row(&map(&[("completed", json!(0)), ("total_input_tokens", json!(0))]), &RowOrigin::default());
        assert_eq!(row["prompt_tokens"], Value::Null);
    }

    #[test]
    fn old_files_without_mark_quotes_and_nulls_are_read() {
        let text = "date,model_id,request_goodput:,mean_ttft_ms\n日期,模型ID,请求有效吞吐量,平均首令牌时间(ms)\n\
                    20250301-101010,m\"x,None,553.04\n";
        let rows = parse_csv(text.as_bytes()).unwrap();
        assert_eq!(
            rows,
            [map(&[
                ("date", json!("20250301-101010")),
                ("model_id", json!("m\"x")),
                ("request_goodput", Value::Null),
                ("mean_ttft_ms", json!(553.04)),
            ])]
        );
        let semicolons = parse_csv("\u{feff}date;mean_ttft_ms\r20250301;553.04\r".as_bytes()).unwrap();
        assert_eq!(semicolons, [map(&[("date", json!(20250301)), ("mean_ttft_ms", json!(553.04))])]);
        assert_eq!(parse_csv(b"a,b\n1,007").unwrap(), [map(&[("a", json!(1)), ("b", json!("007"))])]);
    }

    #[test]
    fn a_broken_file_names_its_line() {
        assert_eq!(parse_csv(b"").unwrap_err(), "the CSV is empty");
        let torn = parse_csv(b"a,b,c\n1,2,3\n1,2").unwrap_err();
        assert_eq!(torn, "the CSV ends within line 3, after 2 of 3 cells: write it again");
        // A program that leaves out empty cells ends its lines.
        assert_eq!(parse_csv(b"a,b\n1\n").unwrap(), [map(&[("a", json!(1)), ("b", Value::Null)])]);
        assert_eq!(
            parse_csv(b"a,b\n1,2\n1,2,3\n").unwrap_err(),
            "line 3 of the CSV has 3 cells under 2 names; is there a comma in an unquoted text?"
        );
        assert_eq!(
            parse_csv(b"a,b\n\"1,2\n").unwrap_err(),
            "line 2 of the CSV opens a quote that is never closed"
        );
    }
}
