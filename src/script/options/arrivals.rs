//! The options of `vllm_arrivals`.

use super::table::{Kind, Row, Table, words};
use crate::schedule::Growth;

pub static VLLM_ARRIVALS: Table = Table::new(
    "vllm_arrivals",
    &[
        Row::new("request_rate", Kind::Above0, "how many are sent; `inf`: as fast as they can be", "4.0")
            .unit("requests per second")
            .or(|| f64::INFINITY.into()),
        Row::new(
            "burstiness",
            Kind::Above0,
            "shape of the gaps: 1 is Poisson, below 1 burstier, above 1 more even",
            "0.5",
        )
        .or(|| 1.0.into()),
        Row::new(
            "ramp_up_strategy",
            Kind::Word(|| [words(&Growth::NAMES), vec![""]].concat()),
            "the rate grows over `requests` requests, from `ramp_up_start_rps` to `ramp_up_end_rps`",
            "\"linear\"",
        )
        .or(|| "".into()),
        Row::new(
            "ramp_up_start_rps",
            Kind::Number(0.0, f64::INFINITY),
            "the rate at the first request",
            "1.0",
        )
        .unit("requests per second"),
        Row::new("ramp_up_end_rps", Kind::Number(0.0, f64::INFINITY), "the rate at the last request", "8.0")
            .unit("requests per second"),
        Row::new("requests", Kind::Whole(0, i64::MAX), "over how many requests the rate grows", "100")
            .unit("requests"),
        Row::new(
            "users",
            Kind::Whole(0, i64::MAX),
            "with neither rate nor ramp: as many users, each waiting for its reply",
            "16",
        )
        .or_else("all requests at once"),
    ],
);
