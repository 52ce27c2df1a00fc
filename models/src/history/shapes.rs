//! The fields of each line of `ktrial.history/1`, by op.

use std::borrow::Cow;

use serde::Deserialize;

/// Text that is borrowed from the line where it has no escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// What every line has.
#[derive(Deserialize)]
pub(super) struct Head<'a> {
    pub(super) t: u64,
    #[serde(borrow)]
    pub(super) op: Text<'a>,
}

#[derive(Deserialize)]
pub(super) struct Life<'a> {
    #[serde(borrow)]
    pub(super) process: Text<'a>,
    #[serde(borrow)]
    pub(super) group: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Failure<'a> {
    #[serde(borrow)]
    pub(super) error: Text<'a>,
    #[serde(borrow)]
    pub(super) message: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Send<'a> {
    #[serde(borrow)]
    pub(super) process: Text<'a>,
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) topic: Text<'a>,
    #[serde(borrow)]
    pub(super) key: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Acknowledgement<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    pub(super) partition: u32,
    pub(super) offset: i64,
}

#[derive(Deserialize)]
pub(super) struct Refusal<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) outcome: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Transaction<'a> {
    #[serde(borrow)]
    pub(super) process: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) txn: Text<'a>,
    #[serde(borrow, default)]
    pub(super) offsets: Vec<(Text<'a>, u32, u64)>,
}

#[derive(Deserialize)]
pub(super) struct Polled<'a> {
    #[serde(borrow)]
    pub(super) process: Text<'a>,
    #[serde(borrow)]
    pub(super) records: Vec<(Text<'a>, u32, u64, Text<'a>)>,
}

#[derive(Deserialize)]
pub(super) struct Done<'a> {
    #[serde(borrow)]
    pub(super) process: Text<'a>,
    #[serde(borrow)]
    pub(super) id: Text<'a>,
}

#[derive(Deserialize)]
pub(super) struct CommittedOffsets<'a> {
    #[serde(borrow)]
    pub(super) process: Text<'a>,
    #[serde(borrow)]
    pub(super) offsets: Vec<(Text<'a>, u32, u64)>,
}

#[derive(Deserialize)]
pub(super) struct Rebalanced<'a> {
    #[serde(borrow)]
    pub(super) process: Text<'a>,
    #[serde(borrow)]
    pub(super) partitions: Vec<(Text<'a>, u32)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State<'a> {
    #[serde(borrow)]
    pub(super) topic: Text<'a>,
    pub(super) partition: u32,
    pub(super) leader: i32,
    pub(super) isr: Vec<i32>,
    #[serde(default)]
    pub(super) elr: Vec<i32>,
    #[serde(default)]
    pub(super) last_known_elr: Vec<i32>,
}

#[derive(Deserialize)]
pub(super) struct Fault<'a> {
    #[serde(borrow)]
    pub(super) what: Text<'a>,
    #[serde(borrow)]
    pub(super) who: Text<'a>,
}

#[derive(Deserialize)]
pub(super) struct Final<'a> {
    #[serde(borrow)]
    pub(super) topic: Text<'a>,
    pub(super) partition: u32,
    #[serde(borrow)]
    pub(super) isolation: Text<'a>,
    pub(super) start: Option<u64>,
    pub(super) end: Option<u64>,
    pub(super) reached: Option<u64>,
    #[serde(borrow)]
    pub(super) error: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) message: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) records: Vec<(u64, Text<'a>)>,
}
