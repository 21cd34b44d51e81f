//! Which pictures there are, and on how many pages.

use super::layout::{ON_SLIDES, Page};
use super::row::{ComparedRow, Look};
use super::{bars, curves, dashboard, heat, ranking, tradeoff};
use crate::chart::{Figure, slide};

/// Which picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Throughput,
    Latency,
    Tradeoff,
    HeatMap,
    Dashboard,
    Ranking,
}

impl Comparison {
    pub const SIMPLE: [Comparison; 2] = [Comparison::Throughput, Comparison::Latency];
    pub const ALL: [Comparison; 6] = [
        Comparison::Throughput,
        Comparison::Latency,
        Comparison::Tradeoff,
        Comparison::HeatMap,
        Comparison::Dashboard,
        Comparison::Ranking,
    ];

    /// The name of its files.
    pub fn name(self) -> &'static str {
        match self {
            Comparison::Throughput => "throughput_comparison",
            Comparison::Latency => "latency_comparison",
            Comparison::Tradeoff => "throughput_vs_latency",
            Comparison::HeatMap => "performance_heatmap",
            Comparison::Dashboard => "performance_dashboard",
            Comparison::Ranking => "performance_ranking",
        }
    }
}

/// The picture, on as many pages as it takes; all of them on the same scales. A sweep with more
/// configurations than a page holds bars becomes curves.
pub fn pages(kind: Comparison, all: &[ComparedRow], look: &Look) -> Vec<Figure> {
    let draw = |page: &Page<'_>| match kind {
        Comparison::Throughput => bars::throughput(page, look),
        Comparison::Latency => bars::latency(page, look),
        Comparison::HeatMap => heat::map(page, look),
        _ => dashboard::dashboard(page, look),
    };
    let curves = match kind {
        Comparison::Throughput => curves::throughput(all, look),
        Comparison::Latency => curves::latency(all, look),
        _ => None,
    };
    let most = if kind == Comparison::HeatMap { 20 } else { 12 };
    let mut figures = match (kind, curves) {
        (_, Some(curves)) => curves,
        (Comparison::Tradeoff, _) => tradeoff::pages(all, look),
        (Comparison::Ranking, _) => ranking::pages(all, look),
        (Comparison::Dashboard | Comparison::HeatMap, _) if all.len() > ON_SLIDES => {
            let best = ranking::best(all, most, look);
            let mut figure = draw(&Page::of(&best, most)[0]);
            figure.subtitle = ranking::of_many(&figure.subtitle, all, look);
            vec![figure]
        }
        _ => Page::of(all, most).iter().map(draw).collect(),
    };
    figures.iter_mut().for_each(|figure| figure.theme = look.theme);
    slide::enlarge(&mut figures);
    figures
}
