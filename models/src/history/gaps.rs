//! What a history lacks or says that nobody reads: the judges pass over it, and whoever recorded it should know.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{History, Operation};
use super::identity::TopicId;

/// How many of many names are told.
const MOST: usize = 4;

/// In sentences; none of a history that has everything.
pub fn gaps(history: &History) -> Vec<String> {
    let mut gaps = Vec::new();
    let (mut sent, mut read) = (BTreeMap::new(), BTreeSet::new());
    let mut answered: BTreeSet<(TopicId, u32)> = BTreeSet::new();
    let mut unasked = 0u64;
    for event in history.events() {
        match &event.operation {
            Operation::Send { record, topic, .. } => {
                sent.insert(*record, *topic);
            }
            Operation::Ok {
                record, partition, ..
            } => match sent.get(record) {
                Some(topic) => {
                    answered.insert((*topic, *partition));
                }
                None => unasked += 1,
            },
            Operation::Error { record, .. } if !sent.contains_key(record) => unasked += 1,
            Operation::Final(found) => {
                read.insert(history.names.partition_parts(found.partition));
            }
            _ => {}
        }
    }
    let without: Vec<String> = answered
        .difference(&read)
        .map(|(topic, number)| format!("{}-{number}", history.names.topic_name(*topic)))
        .collect();
    if read.is_empty() && !sent.is_empty() {
        gaps.push(
            "no `final` lines: whether what was acknowledged is still there is not judged; read every partition from \
             its start when all has healed, and record it"
                .to_owned(),
        );
    } else if !without.is_empty() {
        gaps.push(format!(
            "no `final` line of {}: whether what was acknowledged there is still there is not judged",
            some(&without)
        ));
    }
    if unasked > 0 {
        gaps.push(format!(
            "{unasked} `ok` or `error` lines have no `send` before them: they are not judged"
        ));
    }
    if !history.unknown_ops.is_empty() {
        let each = history.unknown_ops.iter();
        let each: Vec<String> = each.map(|(op, count)| format!("{op:?} ({count})")).collect();
        gaps.push(format!("lines of unknown `op` are passed over: {}", some(&each)));
    }
    gaps
}

fn some(names: &[String]) -> String {
    match names.len().saturating_sub(MOST) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..MOST].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: &str = r#"{"t":1,"op":"send","process":"p1","id":"p1-0","topic":"t"}"#;
    const OK: &str = r#"{"t":2,"op":"ok","id":"p1-0","partition":0,"offset":0}"#;

    fn of(lines: &[&str]) -> Vec<String> {
        let header = r#"{"schema":"ktrial.history/1"}"#;
        let text = [&[header], lines].concat().join("\n");
        gaps(&History::read(text.as_bytes()).expect("a history"))
    }

    #[test]
    fn without_final_lines_durability_is_not_judged_and_that_is_said() {
        let told = of(&[SEND, OK]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("no `final` lines"), "{told:?}");
        let whole = r#"{"t":3,"op":"final","topic":"t","partition":0,"isolation":"read_uncommitted","start":0,"end":1,"reached":1,"records":[[0,"p1-0"]]}"#;
        assert_eq!(of(&[SEND, OK, whole]), [""; 0]);
        let other = whole.replace("\"partition\":0", "\"partition\":1");
        let told = of(&[SEND, OK, &other]);
        assert!(told[0].starts_with("no `final` line of t-0"), "{told:?}");
    }

    #[test]
    fn an_answer_that_nobody_asked_for_and_an_op_that_nobody_knows_are_told() {
        let told = of(&[
            OK,
            r#"{"t":3,"op":"acknowledged"}"#,
            r#"{"t":3,"op":"acknowledged"}"#,
        ]);
        assert_eq!(
            told,
            [
                "1 `ok` or `error` lines have no `send` before them: they are not judged",
                "lines of unknown `op` are passed over: \"acknowledged\" (2)"
            ]
        );
    }
}
