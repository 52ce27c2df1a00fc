//! The course of a partition: how leader, ISR, ELR and last known ELR changed, between which faults.
//!
//! Which broker leads first, and which follower is which, differs from run to run. [`Course::canonical`]
//! renames nodes by what they went through, so that two courses can be compared: that of a real cluster
//! and those that simulated ones take.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use ktrial_sim::Time;

use super::event::{History, Operation};
use super::identity::{NodeId, PartitionId};

/// What a fault was done to: a node or something else, with what was said beside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A broker, by its number.
    Broker(NodeId),
    /// A controller, by its number.
    Controller(NodeId),
    /// A client, `all`, or a value such as `+60`.
    Other(String),
}

/// Leader and replica sets at one time, as brokers tell them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replicas {
    /// Who leads, if anybody.
    pub leader: Option<NodeId>,
    /// In-sync replicas, by number.
    pub isr: Vec<NodeId>,
    /// Eligible leader replicas, by number.
    pub elr: Vec<NodeId>,
    /// Last known leader, where ISR and ELR ran empty.
    pub last_known_elr: Vec<NodeId>,
}

/// Something on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Brokers told something new.
    Changed(Replicas),
    /// A fault was done.
    Fault {
        /// Its name, such as `kill`.
        what: String,
        /// To whom; for a cut, both ends.
        who: Vec<Target>,
    },
}

/// What one partition went through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// Every step with its time, in order.
    pub steps: Vec<(Time, Step)>,
}

impl Course {
    /// The course of a partition, from the first that brokers told of it.
    pub fn of(history: &History, partition: PartitionId) -> Course {
        let mut steps = Vec::new();
        for event in history.events() {
            match &event.operation {
                Operation::State(state) if state.partition == partition => {
                    let sorted = |nodes: &[NodeId]| {
                        let mut nodes = nodes.to_vec();
                        nodes.sort_unstable();
                        nodes
                    };
                    let replicas = Replicas {
                        leader: state.leader,
                        isr: sorted(&state.isr),
                        elr: sorted(&state.elr),
                        last_known_elr: sorted(&state.last_known_elr),
                    };
                    steps.push((event.time, Step::Changed(replicas)));
                }
                Operation::Fault { what, who } if !steps.is_empty() => {
                    let what = history.names.text_of(*what).to_owned();
                    let who = history.names.text_of(*who).split(' ').map(target).collect();
                    steps.push((event.time, Step::Fault { what, who }));
                }
                _ => {}
            }
        }
        Course { steps }
    }

    /// The role of every node that the course names, by what histories call the node: `b3` is `L`.
    pub fn roles(&self) -> BTreeMap<String, String> {
        super::course_roles::name_nodes(self).into_names()
    }

    /// The changes alone, for comparing what a partition went through whatever was done meanwhile.
    pub fn changes(&self) -> Course {
        let changes = self
            .steps
            .iter()
            .filter(|(_, step)| matches!(step, Step::Changed(_)));
        Course {
            steps: changes.cloned().collect(),
        }
    }

    /// The course with its nodes renamed by what they went through.
    ///
    /// `L` is who led first; `F1`, `F2`, ... are the other brokers, `C1`, ... the controllers, in the
    /// order in which something set them apart. Brokers that nothing set apart are interchangeable.
    /// Faults that follow each other without a change between them are put in an order of their own,
    /// because a script may kill two nodes in either; mendings and lost bytes are left out, since a
    /// harness may record them in more or fewer pieces.
    pub fn canonical(&self) -> CanonicalCourse {
        let names = super::course_roles::name_nodes(self);
        let mut course = CanonicalCourse::default();
        let mut faults: Vec<String> = Vec::new();
        for (_, step) in &self.steps {
            match step {
                step if !step.is_shown() => {}
                Step::Fault { what, who } => {
                    let who: Vec<String> = who.iter().map(|target| names.of(target)).collect();
                    faults.push(format!("{what} {}", who.join(" ")));
                }
                Step::Changed(replicas) => {
                    course.flush(&mut faults);
                    let set = |nodes: &[NodeId]| {
                        let mut named: Vec<String> = nodes
                            .iter()
                            .map(|node| names.of(&Target::Broker(*node)))
                            .collect();
                        named.sort_unstable();
                        named
                    };
                    course.steps.push(CanonicalStep::Changed {
                        leader: replicas.leader.map(|leader| names.of(&Target::Broker(leader))),
                        isr: set(&replicas.isr),
                        elr: set(&replicas.elr),
                        last_known_elr: set(&replicas.last_known_elr),
                    });
                }
            }
        }
        course.flush(&mut faults);
        course
    }
}

/// What a word behind a fault names.
fn target(word: &str) -> Target {
    let number = word
        .get(1..)
        .and_then(|digits| digits.parse().ok())
        .filter(|number| *number >= 0);
    match (word.as_bytes().first(), number) {
        (Some(b'b'), Some(number)) => Target::Broker(NodeId(number)),
        (Some(b'c'), Some(number)) => Target::Controller(NodeId(number)),
        _ => Target::Other(word.to_owned()),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Broker(node) => write!(f, "b{}", node.0),
            Target::Controller(node) => write!(f, "c{}", node.0),
            Target::Other(word) => f.write_str(word),
        }
    }
}

/// Appends nodes without a separator, as in `isr123`.
fn nodes(nodes: &[NodeId], text: &mut String) {
    for node in nodes {
        write!(text, "{}", node.0).expect("writing to a string cannot fail");
    }
}

impl fmt::Display for Replicas {
    /// `L3 isr123`, with `elr` and `lk` where they are not empty and `-` for nobody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::from("L");
        nodes(self.leader.as_slice(), &mut text);
        if self.leader.is_none() {
            text.push('-');
        }
        text.push_str(" isr");
        nodes(&self.isr, &mut text);
        if self.isr.is_empty() {
            text.push('-');
        }
        for (name, set) in [(" elr", &self.elr), (" lk", &self.last_known_elr)] {
            if !set.is_empty() {
                text.push_str(name);
                nodes(set, &mut text);
            }
        }
        f.write_str(&text)
    }
}

impl fmt::Display for Course {
    /// One line as in the table of recordings: seconds with one decimal, faults in bold, two or more
    /// adjacent cuts as one entry, mendings and lost bytes left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entries: Vec<String> = Vec::new();
        let shown: Vec<_> = self.steps.iter().filter(|(_, step)| step.is_shown()).collect();
        let mut at = 0;
        while let Some((time, step)) = shown.get(at) {
            let cuts = shown[at..].iter().take_while(|(_, step)| step.is("cut")).count();
            let text = match step {
                Step::Changed(replicas) => replicas.to_string(),
                Step::Fault { .. } if cuts > 1 => "**cuts**".to_owned(),
                Step::Fault { what, .. } if what == "heal" => "**heal**".to_owned(),
                Step::Fault { what, who } => {
                    let who: Vec<String> = who.iter().map(Target::to_string).collect();
                    format!("**{what} {}**", who.join(" "))
                }
            };
            entries.push(format!("{} {text}", seconds(*time)));
            at += cuts.max(1);
        }
        f.write_str(&entries.join(" · "))
    }
}

/// Seconds with one decimal, rounded to the nearest.
fn seconds(time: Time) -> String {
    let tenths = (time.0 + 50_000_000) / 100_000_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

impl Step {
    fn is(&self, fault: &str) -> bool {
        matches!(self, Step::Fault { what, .. } if what == fault)
    }

    /// Whether a course tells of it: mendings and lost bytes are recorded in more or fewer pieces.
    pub(super) fn is_shown(&self) -> bool {
        !self.is("mend") && !self.is("lost_bytes")
    }
}

/// A step with nodes by their roles.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CanonicalStep {
    /// Brokers told something new.
    Changed {
        /// Who leads, if anybody.
        leader: Option<String>,
        /// In-sync replicas.
        isr: Vec<String>,
        /// Eligible leader replicas.
        elr: Vec<String>,
        /// Last known leader.
        last_known_elr: Vec<String>,
    },
    /// Faults between two changes, such as `kill F1`, in alphabetical order.
    Faults(Vec<String>),
}

/// A course in which nodes have the names of their roles, so that equal courses are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CanonicalCourse {
    /// Every step, in order.
    pub steps: Vec<CanonicalStep>,
}

impl CanonicalCourse {
    fn flush(&mut self, faults: &mut Vec<String>) {
        if !faults.is_empty() {
            faults.sort_unstable();
            faults.dedup();
            self.steps.push(CanonicalStep::Faults(std::mem::take(faults)));
        }
    }
}

impl fmt::Display for CanonicalCourse {
    /// One line: `L isr L,F1,F2 · kill F1 · L isr L,F2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = |step: &CanonicalStep| match step {
            CanonicalStep::Faults(faults) => faults.join(", "),
            CanonicalStep::Changed {
                leader,
                isr,
                elr,
                last_known_elr,
            } => {
                let mut text = leader.clone().unwrap_or_else(|| "-".to_owned());
                for (name, set) in [("isr", isr), ("elr", elr), ("lk", last_known_elr)] {
                    if !set.is_empty() || name == "isr" {
                        write!(text, " {name} {}", set.join(",")).expect("writing to a string cannot fail");
                    }
                }
                text
            }
        };
        let steps: Vec<String> = self.steps.iter().map(step).collect();
        f.write_str(&steps.join(" · "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Header, PartitionState};

    /// A course from lines such as `3 123` (leader, ISR) and `kill b2`, a second apart.
    fn course(lines: &[&str]) -> Course {
        let mut history = History::new(Header::default());
        let topic = history.names.topic("orders");
        let partition = history.names.partition(topic, 0);
        for (second, line) in lines.iter().enumerate() {
            let (first, rest) = line.split_once(' ').expect("two words");
            let operation = match first.parse() {
                Ok(leader) => Operation::State(Box::new(PartitionState {
                    partition,
                    leader: Some(NodeId(leader)),
                    isr: rest
                        .bytes()
                        .map(|digit| NodeId(i32::from(digit - b'0')))
                        .collect(),
                    elr: vec![],
                    last_known_elr: vec![],
                })),
                Err(_) => Operation::Fault {
                    what: history.names.text(first),
                    who: history.names.text(rest),
                },
            };
            history.push(Time(second as u64 * 1_000_000_000), operation);
        }
        Course::of(&history, partition)
    }

    #[test]
    fn the_same_course_of_other_brokers_is_the_same() {
        let one = course(&["3 123", "kill b1", "3 23", "start b1", "3 123"]).canonical();
        let other = course(&["1 123", "kill b2", "1 13", "start b2", "1 132"]).canonical();
        assert_eq!(one, other);
        assert_eq!(
            one.to_string(),
            "L isr F1,F2,L · kill F1 · L isr F2,L · start F1 · L isr F1,F2,L"
        );
    }

    #[test]
    fn another_course_is_another() {
        let follower = course(&["3 123", "kill b1", "3 23"]);
        let leader = course(&["3 123", "kill b3", "1 12"]);
        assert_ne!(follower.canonical(), leader.canonical());
        assert_ne!(follower.changes().canonical(), leader.changes().canonical());
    }

    #[test]
    fn two_faults_without_a_change_between_them_have_no_order() {
        let one = course(&["1 123", "kill b2", "kill b3", "1 1", "start b3", "1 13"]).canonical();
        let other = course(&["1 123", "kill b2", "kill b3", "1 1", "start b2", "1 12"]).canonical();
        assert_eq!(one, other);
    }

    #[test]
    fn changes_alone_are_named_without_regard_to_faults() {
        let paused = course(&["3 123", "pause b2", "1 12"]);
        let killed = course(&["3 123", "kill b3", "1 12"]);
        assert_ne!(paused.canonical(), killed.canonical());
        assert_eq!(paused.changes().canonical(), killed.changes().canonical());
    }

    #[test]
    fn a_cut_is_known_by_both_of_its_ends() {
        let leader = course(&["1 123", "cut b2 b1", "kill b3", "1 1"]).canonical();
        let same = course(&["2 123", "cut b3 b2", "kill b1", "2 2"]).canonical();
        let followers = course(&["1 123", "cut b2 b3", "kill b3", "1 1"]).canonical();
        assert_eq!(leader, same);
        assert_ne!(leader, followers);
    }

    #[test]
    fn two_cut_nodes_differ_by_whom_they_were_cut_from() {
        let one = course(&["1 1234", "cut b2 b1", "cut b3 b4", "1 1"]).canonical();
        let other = course(&["1 1234", "cut b3 b1", "cut b2 b4", "1 1"]).canonical();
        assert_eq!(one, other);
    }

    #[test]
    fn mendings_are_left_out_and_controllers_have_names_of_their_own() {
        let told = course(&["1 123", "kill c2", "mend b1 b2", "1 12"]).canonical();
        assert_eq!(told.to_string(), "L isr F1,F2,L · kill C1 · L isr F1,L");
    }

    #[test]
    fn starts_before_the_first_state_are_no_part_of_the_course() {
        let told = course(&["start b1", "1 123", "heal all"]);
        assert_eq!(told.to_string(), "1.0 L1 isr123 · 2.0 **heal**");
    }
}
