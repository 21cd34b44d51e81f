//! The text report: the best configurations, the ranking, the front, and what not to quote.

use super::layout::tie_rule;
use super::metrics::{self, PER_GPU};
use super::ranking::{formula, parts, rank};
use super::row::{ComparedRow, Look, eligible};
use super::terminal::{Side, columns};
use super::tradeoff::{on_front, speed_of, throughput_of};
use crate::lang::Lang;
use crate::stats::metric::Better;
use crate::stats::tied::tied;

/// Names that one line holds of a tied set.
const NAMES_MOST: usize = 4;

/// The report on these configurations, in lines.
pub fn report(rows: &[ComparedRow], look: &Look) -> String {
    let mut text = format!("{}\n", look.titled("Performance report", "性能报告"));
    text += &match look.lang {
        Lang::English if rows.len() == 1 => "1 configuration".to_string(),
        Lang::English => format!("{} configurations", rows.len()),
        Lang::Chinese => format!("{} 个配置", rows.len()),
    };
    text += "\n";
    let sections = [
        (look.say("Best configurations", "最佳配置"), best(rows, look)),
        (look.say("Ranking", "综合排名"), ranking(rows, look)),
        (look.say("Pareto front", "帕累托前沿"), pareto(rows, look)),
        (look.say("Not valid, do not quote", "无效，不可引用"), unsound(rows, look)),
    ];
    for (head, body) in sections.into_iter().filter(|(_, body)| !body.is_empty()) {
        text += &format!("\n{head}\n{body}");
    }
    text
}

/// The best value of each metric, with all that cannot be told from it.
fn best(rows: &[ComparedRow], look: &Look) -> String {
    let eligible = eligible(rows);
    let mut lines = Vec::new();
    for metric in metrics::seen(rows) {
        let candidates: Vec<_> = rows
            .iter()
            .zip(&eligible)
            .map(|(row, is)| row.candidate(&metric.column).filter(|_| *is))
            .collect();
        let better = if metric.higher { Better::Higher } else { Better::Lower };
        let Some(found) = tied(&candidates, better) else { continue };
        let names: Vec<&str> = found.set.iter().take(NAMES_MOST).map(|i| rows[*i].label.as_str()).collect();
        let mut told = names.join(look.lang.pick(", ", "、"));
        if found.set.len() > NAMES_MOST {
            let more = found.set.len() - NAMES_MOST;
            told += &look.say(&format!(" and {more} more"), &format!(" 等另外 {more} 个"));
        }
        if found.set.len() > 1 {
            told += &look.say(" (tied)", "（并列）");
        }
        let value = rows[found.best].value(&metric.column);
        lines.push(vec![metric.name(look.lang).to_string(), metric.told(value, look.lang), told]);
    }
    if lines.is_empty() {
        return String::new();
    }
    let rule = tie_rule(rows, look);
    format!("{}  {rule}\n", columns(&lines, &[Side::Left, Side::Right, Side::Left]))
}

fn ranking(rows: &[ComparedRow], look: &Look) -> String {
    let parts = parts();
    let mut lines = vec![vec![
        look.say("rank", "名次"),
        look.say("configuration", "配置"),
        look.say("score", "得分"),
        parts[0].title(look.lang),
        parts[1].name(look.lang).to_string(),
        parts[2].name(look.lang).to_string(),
    ]];
    let ranked = rank(rows, look.weights);
    let texts = parts.each_ref().map(|part| {
        let values = ranked.iter().map(|one| rows[one.row].value(&part.column));
        part.format.column(&values.collect::<Vec<_>>())
    });
    for (i, one) in ranked.iter().enumerate() {
        let score = one.score.map_or("–".into(), |score| format!("{score:.3}"));
        let values = texts.iter().map(|text| text[i].clone());
        lines.push([one.place(), rows[one.row].named(), score].into_iter().chain(values).collect());
    }
    let formula = format!("  {} = {}", look.say("score", "得分"), formula(look));
    let meaning = look.say(
        "  each as its share of the best value; 1= is a shared place, within the noise",
        "  各项为与最佳值之比；1= 表示噪声之内的并列",
    );
    let sides = [Side::Right, Side::Left, Side::Right, Side::Right, Side::Right, Side::Right];
    format!("{formula}\n{meaning}\n{}", columns(&lines, &sides))
}

/// What gives most tokens at which speed for a user.
fn pareto(rows: &[ComparedRow], look: &Look) -> String {
    let throughput = throughput_of(rows);
    let found = on_front(rows);
    let values: Vec<f64> = found.iter().map(|(row, _)| row.value(&throughput.column)).collect();
    let line = |((row, speed), value): (&(&ComparedRow, f64), String)| {
        let each = format!("{speed:.1}");
        let user = look.say(&format!("{each} tokens/s per user"), &format!("每用户 {each} 令牌/s"));
        vec![row.label.clone(), format!("{value} {}", look.say("tokens/s", "令牌/s")), user]
    };
    let lines: Vec<Vec<String>> = found.iter().zip(throughput.format.column(&values)).map(line).collect();
    if lines.is_empty() {
        return String::new();
    }
    let (output, speed) = (throughput.column == PER_GPU, speed_of(rows, look));
    let what = match (output, look.lang) {
        (true, Lang::English) => format!("output per GPU against {speed}"),
        (false, Lang::English) => format!("output against {speed}"),
        (true, Lang::Chinese) => format!("每 GPU 输出与{speed}"),
        (false, Lang::Chinese) => format!("输出与{speed}"),
    };
    let of = look.say(
        "measured points that no other of the same lengths beats in both",
        "同长度中未被两项同时超越的实测点",
    );
    let part = look.say("; ", "；");
    format!("  {what}{part}{of}\n{}", columns(&lines, &[Side::Left, Side::Right, Side::Right]))
}

fn unsound(rows: &[ComparedRow], look: &Look) -> String {
    let lines: Vec<Vec<String>> =
        rows.iter().filter_map(|row| Some(vec![row.label.clone(), row.verdict.clone()?])).collect();
    match lines.is_empty() {
        true => String::new(),
        false => {
            let told = match rows.iter().any(ComparedRow::is_sound) {
                true => look.say("they win nothing above", "以上排名不计入"),
                false => look
                    .say("none is valid: the ranks above are among them", "全部无效：以上排名仅在其中比较"),
            };
            let words =
                look.say("; `docs/verdicts.md` says what each word means", "；各词含义见 docs/verdicts.md");
            let told = format!("{told}{words}");
            format!("{}  {told}\n", columns(&lines, &[Side::Left, Side::Left]))
        }
    }
}
