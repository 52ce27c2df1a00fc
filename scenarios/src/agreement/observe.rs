//! What one simulated trial has of what the recorded run showed.

use ktrial_models::history::{History, PartitionId};
use ktrial_sim::{Duration, Time};

use crate::history::recorded_history;
use crate::scenario::Arm;
use crate::trial::{Bench, Keep};

use super::course::{Followed, States};
use super::faults::{self, Stroke};
use super::grouped::Grouped;
use super::tally::Tally;

/// A partition of the recorded run.
pub(super) struct RecordedCourse {
    /// Topic and number.
    pub(super) parts: (String, u32),
    /// Which it is in the recording.
    pub(super) partition: PartitionId,
    pub(super) states: States,
}

/// The recorded run, judged.
pub(super) struct Recorded<'h> {
    pub(super) history: &'h History,
    pub(super) tally: Tally,
    pub(super) strokes: Vec<Stroke>,
    /// Which of the faults phases begin with.
    pub(super) boundaries: Vec<usize>,
    /// When its observer may have been told late.
    pub(super) blind: Vec<(Time, Time)>,
    pub(super) courses: Vec<RecordedCourse>,
    /// What its groups went through; none if its consumers belong to none.
    pub(super) grouped: Option<Grouped>,
}

/// One simulated trial.
pub(super) struct Observation {
    pub(super) seed: u64,
    pub(super) tally: Tally,
    /// When each fault of the recorded run was done here.
    pub(super) strokes: Vec<Option<Time>>,
    /// What was done here and not there.
    pub(super) more: Vec<String>,
    /// When phases begin, the first one at the first send.
    pub(super) boundaries: Vec<Time>,
    /// For each course of the recorded run, how far it was taken here.
    pub(super) courses: Vec<Followed>,
    /// What groups went through here; none if consumers belong to none.
    pub(super) grouped: Option<Grouped>,
}

/// Faults nearer than this to each other do not bound a phase.
const SHORTEST_PHASE: Duration = Duration::millis(500);

impl<'h> Recorded<'h> {
    /// Judges the recorded run.
    pub(super) fn new(history: &'h History) -> Self {
        let strokes = faults::strokes(history);
        let mut boundaries: Vec<usize> = Vec::new();
        for (number, stroke) in strokes.iter().enumerate() {
            let far = |before: &usize| stroke.until.since(strokes[*before].until) >= SHORTEST_PHASE;
            if boundaries.last().is_none_or(far) {
                boundaries.push(number);
            }
        }
        let times: Vec<Time> = boundaries.iter().map(|number| strokes[*number].until).collect();
        Recorded {
            history,
            tally: Tally::of(history, &times),
            strokes,
            boundaries,
            blind: faults::blind(history),
            courses: courses(history),
            grouped: Grouped::of(history),
        }
    }

    /// Simulates the experiment with one seed.
    pub(super) fn observe(&self, bench: &mut Bench, arm: &Arm, seed: u64) -> Observation {
        let keep = Keep {
            story: true,
            unjudged: true,
            ..Keep::default()
        };
        let simulated = recorded_history(arm, &bench.run(&arm.resolved, seed, keep));
        let done = faults::strokes(&simulated);
        let counterparts = faults::counterparts(&self.strokes, &done, |_| None);
        let strokes: Vec<Option<Time>> = counterparts
            .iter()
            .map(|found| found.map(|found| done[found].time))
            .collect();
        let more = (0..done.len()).filter(|number| !counterparts.contains(&Some(*number)));
        let mut boundaries: Vec<Time> = Vec::new();
        for number in &self.boundaries {
            let least = boundaries.last().copied().unwrap_or_default();
            boundaries.push(strokes[*number].map_or(least, |time| time.max(least)));
        }
        let partitions: Vec<RecordedCourse> = courses(&simulated);
        let follow = |real: &RecordedCourse| {
            let same_topic = partitions.iter().filter(|other| other.parts.0 == real.parts.0);
            let followed =
                same_topic.map(|other| real.states.followed_by(&other.states, &self.strokes, &done));
            // The first of those that get furthest: partitions of a topic are interchangeable.
            followed.rev().max_by_key(Followed::rank).unwrap_or_default()
        };
        Observation {
            seed,
            tally: Tally::of(&simulated, &boundaries),
            more: more.map(|number| done[number].named(&done[number].who)).collect(),
            strokes,
            boundaries,
            courses: self.courses.iter().map(follow).collect(),
            grouped: Grouped::of(&simulated),
        }
    }
}

/// Every partition that somebody told of, in order of their names.
fn courses(history: &History) -> Vec<RecordedCourse> {
    let partitions = (0..history.names.partitions() as u32).map(PartitionId);
    let courses = partitions.map(|partition| {
        let (topic, number) = history.names.partition_parts(partition);
        RecordedCourse {
            parts: (history.names.topic_name(topic).to_owned(), number),
            partition,
            states: States::of(history, partition),
        }
    });
    let mut courses: Vec<RecordedCourse> = courses
        .filter(|course| course.states.times().next().is_some())
        .collect();
    courses.sort_by(|one, other| one.parts.cmp(&other.parts));
    courses
}
