//! With `--lang zh` whatever a user sees in an ordinary run is Chinese, but for names.

use crate::lab::{Engine, Lab, single};
use unicode_width::UnicodeWidthStr;

/// Names that are the same in every language: of metrics, units, verdicts, parts of a protocol.
const NAMES: [&str; 28] = [
    "ttft",
    "ttfo",
    "itl",
    "tpot",
    "e2el",
    "queue",
    "ms",
    "s",
    "std",
    "p",
    "max",
    "usage",
    "cpu",
    "kv",
    "bos",
    "tcp",
    "x",
    "ctrl-c",
    "rampant-sim",
    "valid",
    "mb",
    "gb",
    "m",
    "h",
    "eta",
    "slo",
    "metrics",
    "c",
];

/// English words of a text that are no names. Paths, flags and identifiers are no words.
fn english(text: &str) -> Vec<String> {
    let breaks = |c: char| !c.is_ascii() || c.is_whitespace() || "()[]{}<>=,:;|\"'`~".contains(c);
    let is_word = |token: &&str| {
        let named =
            token.contains(['/', '.', '_']) || token.starts_with("--") || token.contains(char::is_numeric);
        token.contains(|c: char| c.is_ascii_alphabetic()) && !named
    };
    let words = text.split(breaks).filter(is_word).map(str::to_lowercase);
    words.filter(|word| !NAMES.contains(&word.as_str())).collect()
}

#[track_caller]
fn is_chinese(lines: &str) {
    for line in lines.lines().filter(|line| !line.starts_with("error: ")) {
        assert_eq!(english(line), Vec::<String>::new(), "{line}\n{lines}");
        let cell = line.trim_start_matches(['│', ' ']);
        assert!(!cell.starts_with(['，', '。', '：', '；', '）', '、']), "{line}\n{lines}");
    }
    let tables = lines.lines().filter(|line| line.starts_with(['│', '┌', '├', '└', '╞']));
    for line in tables {
        assert!(line.width() <= 84, "{}: {line}", line.width());
    }
}

#[test]
fn english_words_are_found_and_names_are_not() {
    assert_eq!(english("注：2 requests went ahead"), ["requests", "went", "ahead"]);
    assert!(english("TTFT p50 5.2 ms，client_bound，--max-errors /v1/models 3 x http_503").is_empty());
}

#[test]
fn a_single_run_speaks_chinese() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let more = ["--num-prompts", "12", "--warmup", "4", "--goodput", "ttft:1000", "--lang", "zh"];
    let done = lab.run(&single(&engine.url, &more)).exits(0);
    is_chinese(&format!("{}\n{}", done.out, done.err));
    for word in ["结论", "图表：", "结果：", "注：", "首令牌 ttft"] {
        assert!(done.out.contains(word) || done.err.contains(word), "{word}\n{}{}", done.out, done.err);
    }
}

#[test]
fn an_open_loop_speaks_chinese() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let more = ["--num-prompts", "12", "--request-rate", "40", "--max-concurrency", "1", "--lang", "zh"];
    let done = lab.run(&single(&engine.url, &more)).exits(0);
    is_chinese(&format!("{}\n{}", done.out, done.err));
}

#[test]
fn a_batch_its_csv_and_its_charts_speak_chinese() {
    let (lab, engine) = (Lab::new(), Engine::fast());
    let plan = format!(
        "model: rampant-sim\nbase_url: {}\ninput_output: [[8, 4], [16, 4]]\nconcurrency_prompts: [[1, 2], [2, 24]]\n",
        engine.url
    );
    lab.file("config.yaml", &plan);
    for args in [
        &["batch", "--lang", "zh"][..],
        &["aggregate", "--lang", "zh"],
        &["aggregate", "--list", "--lang", "zh"],
        &["visualize", "--lang", "zh", "--mode", "both"],
    ] {
        let done = lab.run(args).exits(0);
        is_chinese(&format!("{}\n{}", done.out, done.err));
        assert!(!format!("{}{}", done.out, done.err).trim().is_empty(), "{args:?}");
    }
}

#[test]
fn checks_and_charts_of_a_script_speak_chinese() {
    let lab = Lab::new();
    lab.file(
        "a.rhai",
        "let t = target(\"builtin:ttft=1ms,itl=100us\");\n\
         let r = run(#{ target: t, workload: prompts(#{ input: 8, output: 4 }), arrivals: closed(1), requests: 3 });\n\
         check(\"快\", true); check(\"慢\", false);\n\
         chart(#{ data: r, kind: \"cdf\", x: \"ttft\" }).save(\"x.svg\");\n",
    );
    let done = lab.run(&["run", "a.rhai", "--lang", "zh"]).exits(99);
    is_chinese(&format!("{}\n{}", done.out, done.err));
    assert_eq!(done.error(), "2 项检查中 1 项未通过：慢");
    assert!(done.err.contains("通过：快") && done.err.contains("未通过：慢"), "{}", done.err);
}
