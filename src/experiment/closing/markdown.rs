//! Markdown: two lines when all is well, else what was not kept first. No more than a comment on a pull request
//! takes.

use super::facts::Closing;
use crate::error::ErrorKind;
use crate::experiment::check::{Check, Held};
use crate::lang::Lang;
use crate::stats::words::grouped;

/// Bytes; a comment may have 64 KB.
const PAGE_MAX: usize = 20 << 10;

pub fn text(closing: &Closing) -> String {
    let mut page = Page { text: String::new(), left_out: 0 };
    page.text += &format!("### {}\n", headline(closing));
    let well = closing.error.is_none() && closing.count(Held::Undecided) == 0;
    let runs = closing.findings.runs.len();
    if well && closing.findings.runs.iter().all(|run| run.is_valid()) {
        page.text += &where_it_is(closing, runs);
        return page.text;
    }
    promises(closing, &mut page);
    if let Some(error) = closing.own_error() {
        page.line(&format!("- {}\n", one_line(&error.to_string())));
    }
    for run in &closing.findings.runs {
        for told in run.problems.iter().chain(&run.reasons) {
            page.line(&format!("- `{}`{}{}\n", code(&run.name), closing.lang.colon(), one_line(told)));
        }
    }
    if runs > 0 {
        page.text += &format!("\n<details><summary>{}</summary>\n\n", closing.lang.pick("runs", "运行"));
        for run in &closing.findings.runs {
            page.line(&format!("- `{}`{}{}\n", code(&run.name), closing.lang.colon(), one_line(&run.line)));
        }
        page.text += "\n</details>\n";
    }
    page.text += &format!("\n{}", where_it_is(closing, runs));
    if page.left_out > 0 {
        let lines = page.left_out;
        page.text += &closing.lang.pick(
            format!("\n{lines} more lines are in the results folder.\n"),
            format!("\n另有 {lines} 行见结果目录。\n"),
        );
    }
    page.text
}

struct Page {
    text: String,
    /// Lines.
    left_out: usize,
}

impl Page {
    /// Adds a whole line while there is room.
    fn line(&mut self, line: &str) {
        if self.text.len() + line.len() < PAGE_MAX {
            self.text += line;
        } else {
            self.left_out += 1;
        }
    }
}

/// What it came to, in a line.
fn headline(closing: &Closing) -> String {
    let lang = closing.lang;
    let word = match closing.error.map(|error| error.kind) {
        None => lang.pick("ok", "通过"),
        Some(ErrorKind::Check | ErrorKind::Failed) => lang.pick("failed", "未通过"),
        Some(ErrorKind::Undecided) => lang.pick("undecided", "无法判定"),
        Some(ErrorKind::NotValid) => lang.pick("not valid", "无效"),
        Some(ErrorKind::Interrupted) => lang.pick("interrupted", "已中断"),
        Some(_) => lang.pick("error", "出错"),
    };
    let title = one_line(&closing.title);
    let mut parts = vec![format!("{title}{}**{word}**", lang.colon()), counts(closing)];
    let doubtful: Vec<_> = closing.findings.runs.iter().filter(|run| !run.is_valid()).collect();
    match (&doubtful[..], closing.findings.runs.len()) {
        (_, 0) => {}
        ([], _) => parts.push(lang.pick("measurement valid", "测量有效").into()),
        ([first, ..], of) => {
            let (n, verdict) = (doubtful.len(), first.verdict.unwrap_or_default());
            parts.push(lang.pick(
                format!("{n} of {of} runs not valid ({verdict})"),
                format!("{of} 次运行中 {n} 次无效（{verdict}）"),
            ));
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" · ")
}

/// How many promises were kept.
fn counts(closing: &Closing) -> String {
    let [kept, broken, open] = [Held::Yes, Held::No, Held::Undecided].map(|held| closing.count(held));
    let all = kept + broken + open;
    match (closing.lang, all) {
        (Lang::English, 0) => "no checks".into(),
        (Lang::Chinese, 0) => "没有检查".into(),
        (Lang::English, _) => {
            let mut text = format!("{kept} of {all} checks ok");
            if broken > 0 {
                text += &format!(", {broken} failed");
            }
            if open > 0 {
                text += &format!(", {open} undecided");
            }
            text
        }
        (Lang::Chinese, _) => {
            let mut text = format!("{all} 项检查中 {kept} 项通过");
            if broken > 0 {
                text += &format!("，{broken} 项未通过");
            }
            if open > 0 {
                text += &format!("，{open} 项无法判定");
            }
            text
        }
    }
}

/// The table of checks: what was not kept first.
fn promises(closing: &Closing, page: &mut Page) {
    if closing.findings.checks.is_empty() {
        page.text.push('\n');
        return;
    }
    page.text += closing.lang.pick(
        "\n| check | measured | 95 % interval | n | |\n| --- | ---: | ---: | ---: | --- |\n",
        "\n| 检查 | 测量值 | 95 % 区间 | n | |\n| --- | ---: | ---: | ---: | --- |\n",
    );
    for held in [Held::No, Held::Undecided, Held::Yes] {
        closing.findings.checks_of(held).for_each(|check| page.line(&row(closing, check)));
    }
    page.text.push('\n');
}

fn row(closing: &Closing, check: &Check) -> String {
    let state = match check.held {
        Held::Yes => closing.lang.pick("ok", "通过"),
        Held::No => closing.lang.pick("**FAILED**", "**未通过**"),
        Held::Undecided => closing.lang.pick("**undecided**", "**无法判定**"),
    };
    let run = check.run.as_ref().map(|run| format!("{}{}", cell(run), closing.lang.colon()));
    let mut cells = [String::new(), String::new(), String::new()];
    if let Some(ruling) = &check.ruling {
        let above = if ruling.said.above { "> " } else { "" };
        cells[0] = ruling.said.value.as_ref().map_or("-".into(), |value| format!("{above}{value}"));
        cells[1] = ruling.said.interval.as_deref().map_or("-", |text| text.trim_matches(['[', ']'])).into();
        cells[2] = grouped(ruling.estimate.n);
    } else if let Some(why) = &check.why {
        cells[0] = cell(why);
    }
    let [value, interval, n] = cells;
    format!("| {}{} | {value} | {interval} | {n} | {state} |\n", run.unwrap_or_default(), cell(&check.name))
}

fn where_it_is(closing: &Closing, runs: usize) -> String {
    let Some(folder) = &closing.folder else { return "\n".into() };
    let folder = code(folder);
    closing.lang.pick(
        format!("{runs} {}, results in `{folder}`\n", if runs == 1 { "run" } else { "runs" }),
        format!("{runs} 次运行，结果位于 `{folder}`\n"),
    )
}

/// Text of others within a line: nothing of it is markup.
fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut safe = String::new();
    for c in text.chars() {
        if "\\`*_[]<>#|&~!".contains(c) {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}

/// A table's cell.
fn cell(text: &str) -> String {
    one_line(text)
}

/// Within backticks.
fn code(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "'")
}
