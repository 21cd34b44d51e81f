//! The options of `vllm_arrivals`.

use super::table::{OptionKind, OptionRow, Table, words};
use crate::schedule::Growth;

pub static VLLM_ARRIVALS: Table = Table::new(
    "vllm_arrivals",
    &[
        OptionRow::new(
            "request_rate",
            OptionKind::Above0,
            "how many are sent; `inf`: as fast as they can be",
            "4.0",
        )
        .unit("requests per second")
        .or(|| f64::INFINITY.into()),
        OptionRow::new(
            "burstiness",
            OptionKind::Above0,
            "shape of the gaps: 1 is Poisson, below 1 burstier, above 1 more even",
            "0.5",
        )
        .or(|| 1.0.into()),
        OptionRow::new(
            "ramp_up_strategy",
            OptionKind::Word(|| [words(&Growth::NAMES), vec![""]].concat()),
            "the rate grows over `requests` requests, from `ramp_up_start_rps` to `ramp_up_end_rps`",
            "\"linear\"",
        )
        .or(|| "".into()),
        OptionRow::new(
            "ramp_up_start_rps",
            OptionKind::Number(0.0, f64::INFINITY),
            "the rate at the first request",
            "1.0",
        )
        .unit("requests per second"),
        OptionRow::new(
            "ramp_up_end_rps",
            OptionKind::Number(0.0, f64::INFINITY),
            "the rate at the last request",
            "8.0",
        )
        .unit("requests per second"),
        OptionRow::new(
            "requests",
            OptionKind::Whole(0, i64::MAX),
            "over how many requests the rate grows",
            "100",
        )
        .unit("requests"),
        OptionRow::new(
            "users",
            OptionKind::Whole(0, i64::MAX),
            "with neither rate nor ramp: as many users, each waiting for its reply",
            "16",
        )
        .or_else("all requests at once"),
    ],
);
