//! The ranking: one score of throughput, TTFT and TPOT, with ties.

use super::layout::{self, ON_SLIDES, Page, tie_rule};
use super::metrics::{self, Compared};
use super::row::{ComparedRow, Look, eligible};
use crate::chart::{Axis, Figure, Panel, Series, Style, TickFormat, Tone};
use crate::lang::Lang;
use crate::stats::estimate::Interval;
use crate::stats::metric::{Better, Metric};
use crate::stats::tied::{Candidate, tied};

/// Of throughput, TTFT and TPOT, where nothing else is asked for.
pub const WEIGHTS: [f64; 3] = [0.5, 0.25, 0.25];

/// One configuration in the ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Its place among the rows.
    pub row: usize,
    /// From 1; those that cannot be told apart have the same.
    pub rank: usize,
    /// Another has the same rank.
    pub tied: bool,
    /// 1 is the best value in all three. `None`: a value is missing, or its numbers are not to be used.
    pub score: Option<f64>,
    pub low: f64,
    pub high: f64,
}

/// What the score is made of.
pub fn parts() -> [Compared; 3] {
    [metrics::output(), metrics::latency(Metric::Ttft, "mean"), metrics::latency(Metric::Tpot, "mean")]
}

/// Best first. The score is the sum of weight x share of the best value: throughput by the highest, the
/// lowest TTFT and TPOT by theirs, so that it depends on no other configuration than the best.
pub fn rank(rows: &[ComparedRow], weights: [f64; 3]) -> Vec<Ranked> {
    let parts = parts();
    let eligible = eligible(rows);
    let counted = |part: &Compared| -> Vec<f64> {
        let of = rows.iter().zip(&eligible).filter(|(_, is)| **is).map(|(row, _)| row.value(&part.column));
        of.filter(|value| value.is_finite() && *value > 0.0).collect()
    };
    let best = parts.each_ref().map(|part| {
        let values = counted(part).into_iter();
        if part.higher { values.fold(f64::NAN, f64::max) } else { values.fold(f64::NAN, f64::min) }
    });
    let share = |i: usize, value: f64| if parts[i].higher { value / best[i] } else { best[i] / value };
    let score = |row: &ComparedRow| -> Option<Candidate> {
        let (mut at, mut low, mut high) = (0.0, 0.0, 0.0);
        for (i, part) in parts.iter().enumerate().filter(|(i, _)| weights[*i] > 0.0) {
            let one = row.candidate(&part.column).filter(|one| one.value > 0.0)?;
            let Interval { low: from, high: to } = one.interval?;
            let (worst, best) = if part.higher { (from, to) } else { (to, from) };
            at += weights[i] * share(i, one.value);
            low += weights[i] * share(i, worst);
            high += weights[i] * share(i, best);
        }
        Some(Candidate { value: at, interval: Some(Interval { low, high }) })
    };
    let mut scores: Vec<Option<Candidate>> =
        rows.iter().zip(&eligible).map(|(row, is)| score(row).filter(|_| *is)).collect();
    let mut ranked = Vec::new();
    while let Some(group) = tied(&scores, Better::Higher) {
        let (rank, tied) = (ranked.len() + 1, group.set.len() > 1);
        for row in group.set {
            let Some(Candidate { value, interval: Some(Interval { low, high }) }) = scores[row].take() else {
                continue;
            };
            ranked.push(Ranked { row, rank, tied, score: Some(value), low, high });
        }
    }
    let placed: Vec<usize> = ranked.iter().map(|one| one.row).collect();
    let rank = ranked.len() + 1;
    let rest = (0..rows.len()).filter(|row| !placed.contains(row));
    let (low, high) = (f64::NAN, f64::NAN);
    ranked.extend(rest.map(|row| Ranked { row, rank, tied: false, score: None, low, high }));
    ranked
}

impl Ranked {
    /// `3`, or `1=` of several, or a dash of one that has no score.
    pub fn place(&self) -> String {
        match (self.score, self.tied) {
            (None, _) => "–".into(),
            (_, true) => format!("{}=", self.rank),
            _ => self.rank.to_string(),
        }
    }
}

/// `0.5 x output throughput + ...`
pub fn formula(look: &Look) -> String {
    let of = |(part, weight): (&Compared, f64)| format!("{weight} × {}", part.name(look.lang));
    let parts = parts();
    parts.iter().zip(look.weights).map(of).collect::<Vec<_>>().join(" + ")
}

/// Scores, and what they are made of, best first.
pub fn pages(all: &[ComparedRow], look: &Look) -> Vec<Figure> {
    let ranked = rank(all, look.weights);
    let ordered: Vec<ComparedRow> = ranked
        .iter()
        .map(|one| {
            let mut row = all[one.row].clone();
            row.label = format!("{}  {}", one.place(), row.label);
            row.values.insert(SCORE.into(), one.score.unwrap_or(f64::NAN));
            if one.score.is_some() && !all.iter().all(|row| row.intervals.is_empty()) {
                row.intervals.insert(SCORE.into(), (one.low, one.high));
            }
            row
        })
        .collect();
    if all.len() > ON_SLIDES {
        // Nobody looks for the last of a thousand in a picture: the report has them all.
        let mut figure = ranking(&Page::of(&ordered[..20], 20)[0], look);
        figure.subtitle = of_many(&figure.subtitle, all, look);
        return vec![figure];
    }
    Page::of(&ordered, 20).iter().map(|page| ranking(page, look)).collect()
}

/// The first of the ranking, for a picture that cannot hold all.
pub fn best(all: &[ComparedRow], most: usize, look: &Look) -> Vec<ComparedRow> {
    rank(all, look.weights).iter().take(most).map(|one| all[one.row].clone()).collect()
}

/// Says of a picture of the best that there are more.
pub fn of_many(subtitle: &str, all: &[ComparedRow], look: &Look) -> String {
    match look.lang {
        Lang::English => format!("the best of {} configurations: {subtitle}", all.len()),
        Lang::Chinese => format!("{} 个配置中最佳的：{subtitle}", all.len()),
    }
}

const SCORE: &str = "score";

fn ranking(page: &Page<'_>, look: &Look) -> Figure {
    let mut panels = vec![scores(page, look)];
    panels.extend(parts().iter().enumerate().map(|(i, part)| layout::one(page, part, 2 * i, look)));
    let mut figure = page.figure(look, ("Ranking", "综合排名"), panels, 4);
    let of = look.say("each as its share of the best; higher is better", "各项为与最佳值之比；越高越好");
    let comma = look.say(", ", "，");
    figure.subtitle += &format!("\n{} = {}{comma}{of}", look.say("score", "得分"), formula(look));
    let same = match look.lang {
        Lang::English => format!("1= is shared: differences within the noise ({})", tie_rule(page.all, look)),
        Lang::Chinese => format!("1= 表示并列：差异在噪声之内（{}）", tie_rule(page.all, look)),
    };
    figure.subtitle += &format!("\n{same}");
    figure
}

fn scores(page: &Page<'_>, look: &Look) -> Panel {
    let points = page.rows.iter().enumerate().map(|(i, row)| (row.value(SCORE), i as f64)).collect();
    let spread = page.rows.iter().map(|row| row.interval(SCORE)).collect();
    let hatched = page.rows.iter().map(|row| !row.is_sound()).collect();
    let bars = Series::new("", Style::Bars, points).tone(Tone::Accent(3));
    Panel {
        title: look.say("Score", "得分"),
        x: Axis::linear("").format(TickFormat::Number).range(0.0, 1.25).at(vec![0.0, 0.5, 1.0]),
        y: Axis::names("", page.rows.iter().map(ComparedRow::named).collect()),
        series: vec![Series { spread, hatched, ..bars }],
        ..Panel::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::testing::table;
    use super::*;

    fn rows() -> Vec<ComparedRow> {
        table(
            ["output_throughput", "mean_ttft_ms", "mean_tpot_ms"],
            &[
                ("a", [22.9, 553.0, 42.6]),
                ("b", [70.5, 1191.8, 54.6]),
                ("c", [23.0, 783.3, 42.7]),
                ("d", [70.0, 1973.2, 55.2]),
            ],
        )
    }

    #[test]
    fn the_score_is_the_weighted_share_of_the_best() {
        let ranked = rank(&rows(), WEIGHTS);
        let places: Vec<usize> = ranked.iter().map(|one| one.row).collect();
        assert_eq!(places, [1, 3, 0, 2]);
        let wanted = 0.5 + 0.25 * 553.0 / 1191.8 + 0.25 * 42.6 / 54.6;
        assert!((ranked[0].score.unwrap() - wanted).abs() < 1e-12);
    }

    #[test]
    fn other_weights_give_another_order_and_noise_a_shared_place() {
        let by_throughput = rank(&rows(), [1.0, 0.0, 0.0]);
        let told: Vec<(usize, String)> = by_throughput.iter().map(|one| (one.row, one.place())).collect();
        assert_eq!(told, [(1, "1=".into()), (3, "1=".into()), (2, "3=".into()), (0, "3=".into())]);
        assert_eq!(rank(&rows(), [0.0, 1.0, 0.0])[0].row, 0);
    }

    #[test]
    fn what_is_not_valid_wins_nothing_and_what_failed_has_no_score() {
        let mut rows = rows();
        rows[1].verdict = Some("client_bound".into());
        rows[3].values.clear();
        let ranked = rank(&rows, WEIGHTS);
        assert_eq!(
            ranked.iter().map(|one| one.score.is_some()).collect::<Vec<_>>(),
            [true, true, false, false]
        );
        assert_eq!(ranked[3].place(), "–");
    }
}
