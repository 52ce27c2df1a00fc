//! What was done, in a recorded and in a simulated history, and which of it corresponds.

use ktrial_models::history::{History, Operation};
use ktrial_sim::{Duration, Time};

/// What kind of thing a fault struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Struck {
    Broker,
    Controller,
    Client,
    Everything,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stroke {
    /// When.
    pub(super) time: Time,
    /// When its last piece was done: a harness cuts link by link.
    pub(super) until: Time,
    /// What, such as `kill`.
    pub(super) what: String,
    /// Whom: one node, `client` or `all`.
    pub(super) who: String,
    /// By how much a clock was moved; empty for everything else.
    pub(super) by: String,
    struck: Struck,
}

impl Stroke {
    /// The fault with its node by another name.
    pub(super) fn named(&self, who: &str) -> String {
        let by = if self.by.is_empty() { "" } else { " " };
        format!("{} {who}{by}{}", self.what, self.by)
    }

    /// Whether it struck the same node, if that is a broker that another run calls `name`.
    fn struck_the_same(&self, other: &Stroke, name: Option<&str>) -> bool {
        self.struck != Struck::Broker || name.is_none_or(|name| name == other.who)
    }

    /// Whether this is the same kind of fault, whomever of a kind it struck.
    fn is_like(&self, other: &Stroke) -> bool {
        self.what == other.what && self.struck == other.struck && self.by == other.by
    }
}

/// The same fault on the same node again within this time is a piece of it.
const PIECES: Duration = Duration::secs(1);

/// All faults. That nodes start that nothing has struck yet is none; mendings, bytes lost and clocks set right are left
/// out: they end faults, and are told in more or fewer pieces.
pub(super) fn strokes(history: &History) -> Vec<Stroke> {
    let mut strokes: Vec<Stroke> = Vec::new();
    for event in history.events() {
        let Operation::Fault { what, who } = event.operation else {
            continue;
        };
        let (what, who) = (history.names.text_of(what), history.names.text_of(who));
        let (node, more) = who.split_once(' ').unwrap_or((who, ""));
        let by = if what == "skew" { more } else { "" };
        let is_set_up = what == "start" && !strokes.iter().any(|stroke| stroke.who == node);
        if is_set_up || matches!(what, "mend" | "lost_bytes") || by == "+0" {
            continue;
        }
        let struck = if what.starts_with("elect") {
            Struck::Everything
        } else {
            struck(node)
        };
        let stroke = Stroke {
            time: event.time,
            until: event.time,
            what: what.to_owned(),
            who: if struck == Struck::Client { "client" } else { node }.to_owned(),
            by: by.to_owned(),
            struck,
        };
        let is_piece = |earlier: &&mut Stroke| {
            earlier.who == stroke.who
                && earlier.is_like(&stroke)
                && stroke.time.since(earlier.until) <= PIECES
        };
        match strokes.iter_mut().rev().find(is_piece) {
            Some(earlier) => earlier.until = stroke.time,
            None => strokes.push(stroke),
        }
    }
    strokes
}

fn struck(node: &str) -> Struck {
    let numbered = node.len() > 1 && node[1..].bytes().all(|byte| byte.is_ascii_digit());
    match node.as_bytes().first() {
        Some(b'b') if numbered => Struck::Broker,
        Some(b'c') if numbered => Struck::Controller,
        _ if node == "all" => Struck::Everything,
        _ => Struck::Client,
    }
}

/// For each fault of one run the one that corresponds to it in another: the first of its kind to the first, and so on.
/// `name` tells what the other run calls a broker, if that is known.
pub(super) fn counterparts<'n>(
    strokes: &[Stroke],
    others: &[Stroke],
    name: impl Fn(&str) -> Option<&'n str>,
) -> Vec<Option<usize>> {
    let mut taken = vec![false; others.len()];
    let mut find = |stroke: &Stroke| {
        let name = name(&stroke.who);
        let is_it = |other: &Stroke| stroke.is_like(other) && stroke.struck_the_same(other, name);
        let found = (0..others.len()).find(|other| !taken[*other] && is_it(&others[*other]));
        found.inspect(|other| taken[*other] = true)
    };
    strokes.iter().map(&mut find).collect()
}

/// Stretches in which whoever watched may have asked a broker that was cut off or stood still: from the first cut or
/// pause to the last mending.
pub(super) fn blind(history: &History) -> Vec<(Time, Time)> {
    let mut stretches = Vec::new();
    let mut open: Option<(Time, Option<Time>)> = None;
    for event in history.events() {
        let Operation::Fault { what, .. } = event.operation else {
            continue;
        };
        let is_over = |open: &(Time, Option<Time>)| open.1.is_some_and(|end| event.time.since(end) > PIECES);
        if let Some((start, Some(end))) = open.filter(is_over) {
            stretches.push((start, end));
            open = None;
        }
        match history.names.text_of(what) {
            "cut" | "cut_one_way" | "pause" => open = Some((open.map_or(event.time, |open| open.0), None)),
            "mend" | "heal" | "resume" => {
                if let Some(open) = &mut open {
                    open.1 = Some(event.time);
                }
            }
            _ => {}
        }
    }
    if let Some((start, Some(end))) = open {
        stretches.push((start, end));
    }
    stretches
}

#[cfg(test)]
mod tests {
    use ktrial_models::history::Header;

    use super::*;

    /// A history of faults such as `kill b1`, by the tenth of a second. It begins with a send.
    fn faults(lines: &[(u64, &str)]) -> History {
        let mut history = History::new(Header::default());
        let send = Operation::Send {
            process: history.names.process("p1"),
            record: history.names.record("p1-0"),
            topic: history.names.topic("orders"),
            key: None,
        };
        history.push(Time(0), send);
        for (tenth, line) in lines {
            let (what, who) = line.split_once(' ').expect("two words");
            let (what, who) = (history.names.text(what), history.names.text(who));
            let at = Time(tenth * 100_000_000);
            history.push(at, Operation::Fault { what, who });
        }
        history
    }

    #[test]
    fn a_cut_in_pieces_is_one_fault_for_each_node_and_mendings_are_none() {
        let history = faults(&[
            (10, "cut b2 c1"),
            (11, "cut b2 b1"),
            (12, "cut b3 c1"),
            (60, "mend b2 c1"),
            (80, "cut b2 c1"),
        ]);
        let shown: Vec<String> = strokes(&history).iter().map(|one| one.named(&one.who)).collect();
        assert_eq!(shown, ["cut b2", "cut b3", "cut b2"]);
    }

    #[test]
    fn that_a_cluster_is_started_is_no_fault() {
        let history = faults(&[(1, "start b1"), (2, "kill b1"), (3, "start b1")]);
        let shown: Vec<String> = strokes(&history).iter().map(|one| one.named(&one.who)).collect();
        assert_eq!(shown, ["kill b1", "start b1"]);
    }

    #[test]
    fn faults_correspond_by_what_they_strike_and_in_their_order() {
        let real = strokes(&faults(&[
            (1, "kill b3"),
            (2, "kill c1"),
            (30, "skew client +180"),
            (40, "start b3"),
        ]));
        let other = strokes(&faults(&[
            (1, "kill c2"),
            (2, "kill b1"),
            (30, "skew p1 +180"),
            (30, "skew r1 +180"),
        ]));
        assert_eq!(
            counterparts(&real, &other, |_| None),
            [Some(1), Some(0), Some(2), None]
        );
        let as_b2 = |_: &str| Some("b2");
        assert_eq!(counterparts(&real, &other, as_b2), [None, Some(0), Some(2), None]);
    }

    #[test]
    fn a_watcher_may_be_blind_from_the_first_cut_to_the_last_mending() {
        let seconds = |start: u64, end: u64| (Time(start * 100_000_000), Time(end * 100_000_000));
        let history = faults(&[
            (10, "cut b2 c1"),
            (12, "cut b3 c1"),
            (60, "mend b2 c1"),
            (63, "mend b3 c1"),
            (100, "heal all"),
            (120, "pause b1"),
            (130, "resume b1"),
        ]);
        assert_eq!(blind(&history), [seconds(10, 63), seconds(120, 130)]);
    }
}
