//! The recorded run against everything that was observed of the simulated ones.

use std::collections::BTreeSet;

use ktrial_models::history::{CanonicalCourse, CanonicalStep, Course, Invariant, Verdict};
use ktrial_sim::{Duration, Time};

use super::course::MOST_BROKERS;
use super::faults::Stroke;
use super::grouped::Grouped;
use super::observe::{Observation, Recorded, RecordedCourse};
use super::rows::{
    Agreement, Among, Amount, CountRow, CourseRow, FaultRow, GroupRow, Phase, Range, Standing, TimeRow,
    VerdictRow,
};
use super::tally::{JUDGED, TOLD, Tally};

/// By how much a simulated range of times is widened: JVMs that share a machine pause, and observers ask four times a
/// second.
const TOLERANCE: Duration = Duration::secs(2);

/// What depends on who is given which partition and from where on it reads: compared once groups are simulated.
const OF_GROUPS: [Invariant; 3] = [
    Invariant::ReadTwice,
    Invariant::NonmonotonicPoll,
    Invariant::PollSkip,
];

/// Sets the recorded run beside the observed ones.
pub(super) fn compare(real: &Recorded<'_>, observed: &[Observation], first_seed: u64) -> Agreement {
    let both = Both { real, observed };
    let courses: Vec<(CourseRow, Vec<TimeRow>)> = (0..real.courses.len())
        .map(|course| both.course(course))
        .collect();
    let (courses, times): (Vec<CourseRow>, Vec<Vec<TimeRow>>) = courses.into_iter().unzip();
    Agreement {
        source: real.history.header.source.clone(),
        first_seed,
        seeds: observed.len() as u64,
        faults: both.faults(),
        phases: both.phases(),
        verdicts: Invariant::ALL
            .iter()
            .filter_map(|invariant| both.verdict(*invariant))
            .collect(),
        counts: both.counts(),
        groups: both.groups(),
        courses,
        times: times.into_iter().flatten().collect(),
    }
}

struct Both<'a> {
    real: &'a Recorded<'a>,
    observed: &'a [Observation],
}

impl Both<'_> {
    fn among(&self, is: impl Fn(&Observation) -> bool) -> Among {
        Among {
            k: self.observed.iter().filter(|one| is(one)).count() as u64,
            n: self.observed.len() as u64,
        }
    }

    /// Whether the real consumers belong to groups and the simulated ones do not.
    fn groups_are_open(&self) -> bool {
        self.real.grouped.is_some() && self.observed.iter().all(|one| one.grouped.is_none())
    }

    fn faults(&self) -> Vec<FaultRow> {
        let since =
            |tally: &Tally, time: Time| time.since(tally.sends.map_or(Time::ZERO, |(first, _)| first));
        let told = self.real.strokes.iter().enumerate().map(|(number, stroke)| {
            let simulated = self
                .observed
                .iter()
                .filter_map(|one| Some(since(&one.tally, one.strokes[number]?)));
            let simulated = Range::of(simulated);
            FaultRow {
                fault: stroke.named(&stroke.who),
                real: Some(since(&self.real.tally, stroke.time)),
                standing: match simulated {
                    Some(_) => Standing::Agrees,
                    None => Standing::Disagrees("the scenario does not do this".to_owned()),
                },
                simulated,
            }
        });
        let more: BTreeSet<&String> = self.observed.iter().flat_map(|one| &one.more).collect();
        let more = more.into_iter().map(|fault| FaultRow {
            fault: fault.clone(),
            real: None,
            simulated: None,
            standing: Standing::Disagrees("only the scenario does this".to_owned()),
        });
        told.chain(more).collect()
    }

    fn phases(&self) -> Vec<Phase> {
        let Some((first, last)) = self.real.tally.sends else {
            return Vec::new();
        };
        let times: Vec<Time> = self
            .real
            .boundaries
            .iter()
            .map(|number| self.real.strokes[*number].until)
            .collect();
        let phases = (0..=times.len()).filter_map(|phase| {
            let sent = |tally: &Tally| tally.in_phase("sent", phase);
            let (start, end) = within(&times, phase, first, last);
            let lengths = self.observed.iter().filter_map(|one| {
                let (first, last) = one.tally.sends?;
                let (start, end) = within(&one.boundaries, phase, first, last);
                Some(end.since(start))
            });
            let row = Phase {
                after: phase.checked_sub(1).map(|before| {
                    let stroke = &self.real.strokes[self.real.boundaries[before]];
                    stroke.named(&stroke.who)
                }),
                real_length: end.since(start),
                real_sent: sent(&self.real.tally),
                simulated_length: Range::of(lengths)?,
                simulated_sent: Range::of(self.observed.iter().map(|one| sent(&one.tally)))?,
            };
            (row.real_sent > 0 || row.simulated_sent.most > 0).then_some(row)
        });
        phases.collect()
    }

    fn verdict(&self, invariant: Invariant) -> Option<VerdictRow> {
        let real = self.real.tally.report.finding(invariant).verdict();
        let verdicts = self
            .observed
            .iter()
            .map(|one| one.tally.report.finding(invariant).verdict());
        let mut simulated: Vec<(Verdict, Among)> = Vec::new();
        for verdict in verdicts {
            let n = self.observed.len() as u64;
            match simulated.iter_mut().find(|(known, _)| is_same(known, &verdict)) {
                Some((_, among)) => among.k += 1,
                None => simulated.push((verdict, Among { k: 1, n })),
            }
        }
        simulated.sort_by_key(|(_, among)| std::cmp::Reverse(among.k));
        let nowhere = |verdict: &Verdict| *verdict == Verdict::Vacuous;
        if nowhere(&real) && simulated.iter().all(|(verdict, _)| nowhere(verdict)) {
            return None;
        }
        let broken = self
            .observed
            .iter()
            .find(|one| one.tally.report.finding(invariant).promised > 0);
        let is_among = simulated.iter().any(|(verdict, _)| is_same(verdict, &real));
        let standing = match broken {
            Some(one) => Standing::Disagrees(format!("seed {} breaks what Kafka promises", one.seed)),
            None if OF_GROUPS.contains(&invariant) && self.groups_are_open() && !is_among => {
                open_for_groups()
            }
            None if invariant == Invariant::ReadTwice && self.groups_are_open() => open_for_groups(),
            None if is_among => Standing::Agrees,
            None => Standing::Disagrees("no seed comes to this verdict".to_owned()),
        };
        Some(VerdictRow {
            invariant,
            real,
            simulated,
            standing,
        })
    }

    fn counts(&self) -> Vec<CountRow> {
        let fixed = TOLD.into_iter().chain(JUDGED.iter().map(|(name, _)| *name));
        let fixed: Vec<&str> = fixed.collect();
        let tallies = self
            .observed
            .iter()
            .map(|one| &one.tally)
            .chain([&self.real.tally]);
        let errors: BTreeSet<&str> = tallies
            .flat_map(|tally| tally.counts.keys().map(String::as_str))
            .filter(|name| !fixed.contains(name))
            .collect();
        let names = fixed.iter().copied().chain(errors);
        names.filter_map(|name| self.count(name)).collect()
    }

    fn count(&self, name: &str) -> Option<CountRow> {
        let real = self.real.tally.total(name);
        let simulated = Range::of(self.observed.iter().map(|one| one.tally.total(name)))?;
        if real == 0 && simulated.most == 0 && !TOLD[..2].contains(&name) {
            return None;
        }
        let scaled = self.observed.iter().map(|one| self.scaled(name, &one.tally));
        let scaled = scaled.fold((u64::MAX, 0), |(least, most), (low, high)| {
            (least.min(low), most.max(high))
        });
        let standing = if name == "read twice" && self.groups_are_open() {
            open_for_groups()
        } else if simulated.contains(real) {
            Standing::Agrees
        } else if scaled.0 <= real && real <= scaled.1 {
            Standing::Explained(format!(
                "{}..{} with as many records sent between the faults as in the real run",
                scaled.0, scaled.1
            ))
        } else if let Some(missed) = self.as_many_missed(name, real) {
            Standing::Explained(format!(
                "of the {} sent, {}..{} are not {name} in the simulation",
                self.real.tally.total("sent"),
                missed.least,
                missed.most
            ))
        } else {
            Standing::Disagrees(format!("outside {}..{}", simulated.least, simulated.most))
        };
        Some(CountRow {
            name: name.to_owned(),
            real,
            simulated,
            with: self.among(|one| one.tally.total(name) > 0),
            scaled,
            standing,
        })
    }

    /// What groups went through, where there are some in both.
    fn groups(&self) -> Vec<GroupRow> {
        let groups = self.observed.iter().filter_map(|one| one.grouped.as_ref());
        let (Some(real), groups) = (&self.real.grouped, groups.collect::<Vec<_>>()) else {
            return Vec::new();
        };
        let names: BTreeSet<&String> = groups
            .iter()
            .copied()
            .chain([real])
            .flat_map(Grouped::names)
            .collect();
        let rows = names.into_iter().filter_map(|name| {
            let simulated = Range::of(groups.iter().map(|one| one.amount(name)))?;
            let real = real.amount(name);
            Some(GroupRow {
                name: name.clone(),
                real,
                simulated,
                standing: match is_inside(real, &simulated) {
                    true => Standing::Agrees,
                    false => Standing::Disagrees("outside what is simulated".to_owned()),
                },
            })
        });
        rows.collect()
    }

    /// How many records that were sent were not acknowledged in the simulated runs, if so many were not in the real
    /// one: what fails while a partition cannot be written does not grow with what is sent before and afterwards.
    fn as_many_missed(&self, name: &str, real: u64) -> Option<Range<u64>> {
        let missed = |tally: &Tally| tally.total("sent") - tally.total("acknowledged");
        let simulated = Range::of(self.observed.iter().map(|one| missed(&one.tally)))?;
        let is_it = |sent: u64| simulated.contains(sent - real);
        (name == "acknowledged" && is_it(self.real.tally.total("sent"))).then_some(simulated)
    }

    /// What a simulated count would be, rounded down and up, if the trial had sent as many records in each phase as
    /// the real run did.
    fn scaled(&self, name: &str, simulated: &Tally) -> (u64, u64) {
        let phases = self.real.boundaries.len() + 1;
        let thousandths = (0..phases).map(|phase| {
            let of = |tally: &Tally, name: &str| u128::from(tally.in_phase(name, phase));
            let sent = of(simulated, "sent").max(1);
            of(simulated, name) * of(&self.real.tally, "sent") * 1_000 / sent
        });
        let thousandths: u128 = thousandths.sum();
        ((thousandths / 1_000) as u64, thousandths.div_ceil(1_000) as u64)
    }

    fn course(&self, number: usize) -> (CourseRow, Vec<TimeRow>) {
        let course = &self.real.courses[number];
        let all = course.states.times().count();
        let whole = |one: &Observation| one.courses[number].times.len() == all;
        let told = told(self.real, course);
        let first_seed = self.observed.iter().find(|one| whole(one)).map(|one| one.seed);
        let lengths = self.observed.iter().map(|one| one.courses[number].times.len());
        let furthest = lengths.max().unwrap_or_default();
        let (topic, index) = &course.parts;
        let partition = format!("{topic}-{index}");
        let standing = if course.states.brokers() > MOST_BROKERS {
            Standing::Open(format!("more than {MOST_BROKERS} brokers: not compared"))
        } else if first_seed.is_some() {
            Standing::Agrees
        } else {
            Standing::Disagrees(format!(
                "no seed goes on from state {furthest} to state {}",
                furthest + 1
            ))
        };
        let times = self.times(number, &partition, &told);
        let row = CourseRow {
            partition,
            states: told.states,
            taken: self.among(whole),
            first_seed,
            furthest,
            standing,
        };
        (row, times)
    }

    /// For each state but the first one seen and those before any fault: the times from the faults since the state
    /// before, or if there were none, from the faults that the state before had followed.
    fn times(&self, number: usize, partition: &str, told: &ToldCourse) -> Vec<TimeRow> {
        let states: Vec<Time> = self.real.courses[number].states.times().collect();
        let mut rows = Vec::new();
        let mut since: Vec<usize> = Vec::new();
        let mut before = states.first().copied().unwrap_or_default();
        for (step, time) in states.into_iter().enumerate() {
            let strokes = self.real.strokes.iter().enumerate();
            let new = strokes.filter(|(_, stroke)| before < stroke.time && stroke.time <= time);
            let new: Vec<usize> = first_of_a_kind(new);
            if !new.is_empty() {
                since = new;
            }
            before = time;
            for stroke in &since {
                rows.push(self.time(number, partition, step, *stroke, told));
            }
        }
        rows
    }

    /// The time from one fault to one state.
    fn time(&self, number: usize, partition: &str, step: usize, stroke: usize, told: &ToldCourse) -> TimeRow {
        let signed = |at: Time, from: Time| at.0 as i64 - from.0 as i64;
        let from = self.real.strokes[stroke].time;
        let mut states = self.real.courses[number].states.times();
        let at = states.nth(step).expect("there is such a state");
        let real = signed(at, from);
        let times = self.observed.iter().filter_map(|one| {
            let followed = &one.courses[number];
            Some(signed(*followed.times.get(step)?, followed.strokes[stroke]?))
        });
        let times: Vec<i64> = times.collect();
        let of = times.len() as u64;
        let simulated = Range::of(times);
        TimeRow {
            partition: partition.to_owned(),
            fault: told.named(&self.real.strokes[stroke]),
            step,
            change: told.states[step].clone(),
            real,
            simulated,
            of,
            standing: match &simulated {
                None => Standing::Open("no seed takes the course as far as this".to_owned()),
                Some(range) => self.inside(range, from, at),
            },
        }
    }

    /// How a real time, from `from` to `at`, stands beside the simulated ones.
    fn inside(&self, range: &Range<i64>, from: Time, at: Time) -> Standing {
        let since = |at: Time| at.0 as i64 - from.0 as i64;
        let (real, tolerance) = (since(at), TOLERANCE.0 as i64);
        if range.least - tolerance <= real && real <= range.most + tolerance {
            return Standing::Agrees;
        }
        // Whoever could not see it happens to see it as soon as nothing is in the way any more.
        let late = self.real.blind.iter().find(|(start, end)| {
            let just_over = *end <= at && at.since(*end) <= TOLERANCE;
            just_over && range.least <= real && since(*start) <= range.most
        });
        match late {
            Some((_, end)) => Standing::Explained(format!(
                "seen {} ms after the cut or pause behind which the observer could not see it",
                at.since(*end).0 / 1_000_000
            )),
            None => Standing::Disagrees("outside the simulated range widened by 2 s".to_owned()),
        }
    }
}

/// Whether an amount lies between the least and the most, times widened.
fn is_inside(real: Amount, simulated: &Range<Amount>) -> bool {
    match (simulated.least, real, simulated.most) {
        (Amount::Time(least), Amount::Time(real), Amount::Time(most)) => {
            least <= real.saturating_add(TOLERANCE) && real <= most.saturating_add(TOLERANCE)
        }
        _ => simulated.contains(real),
    }
}

fn open_for_groups() -> Standing {
    Standing::Open("the simulated consumers belong to no group".to_owned())
}

/// Start and end of a phase, no wider than from the first send to the last.
fn within(boundaries: &[Time], phase: usize, first: Time, last: Time) -> (Time, Time) {
    let at = |boundary: Option<usize>, otherwise: Time| {
        let time = boundary.and_then(|boundary| boundaries.get(boundary)).copied();
        time.unwrap_or(otherwise).clamp(first, last)
    };
    (at(phase.checked_sub(1), first), at(Some(phase), last))
}

/// Of faults of one kind that were done together, the first.
fn first_of_a_kind<'s>(strokes: impl Iterator<Item = (usize, &'s Stroke)>) -> Vec<usize> {
    let mut first: Vec<(usize, &Stroke)> = Vec::new();
    for (number, stroke) in strokes {
        let known = |(_, before): &(usize, &Stroke)| {
            before.what == stroke.what && stroke.time.since(before.time) <= Duration::millis(500)
        };
        if !first.iter().any(known) {
            first.push((number, stroke));
        }
    }
    first.into_iter().map(|(number, _)| number).collect()
}

/// Whether two verdicts say the same, whichever broker their reasons name.
fn is_same(one: &Verdict, other: &Verdict) -> bool {
    let unnamed = |reason: &String| -> Vec<String> {
        let words = reason.split(' ').map(|word| {
            let bare = word.trim_end_matches([',', ';']);
            let is_node = bare.len() > 1
                && "bc".contains(&bare[..1])
                && bare[1..].bytes().all(|byte| byte.is_ascii_digit());
            if is_node {
                bare[..1].to_owned()
            } else {
                word.to_owned()
            }
        });
        words.collect()
    };
    match (one, other) {
        (Verdict::Exposed(one), Verdict::Exposed(other)) => {
            let set = |reasons: &[String]| reasons.iter().map(unnamed).collect::<BTreeSet<_>>();
            set(one) == set(other)
        }
        (one, other) => one == other,
    }
}

/// A course in words, and the names of its nodes.
struct ToldCourse {
    states: Vec<String>,
    roles: std::collections::BTreeMap<String, String>,
}

impl ToldCourse {
    fn named(&self, stroke: &Stroke) -> String {
        stroke.named(self.roles.get(&stroke.who).unwrap_or(&stroke.who))
    }
}

fn told(real: &Recorded<'_>, course: &RecordedCourse) -> ToldCourse {
    let whole = Course::of(real.history, course.partition);
    let steps = whole.canonical().steps.into_iter();
    let states = steps.filter(|step| matches!(step, CanonicalStep::Changed { .. }));
    ToldCourse {
        states: states
            .map(|step| CanonicalCourse { steps: vec![step] }.to_string())
            .collect(),
        roles: whole.roles(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_the_same_whichever_broker_their_reasons_name() {
        let exposed = |reason: &str| Verdict::Exposed(vec![reason.to_owned()]);
        let one = exposed("b1 lost its disk, 1 of 3 replicas at a time");
        assert!(is_same(
            &one,
            &exposed("b3 lost its disk, 1 of 3 replicas at a time")
        ));
        assert!(!is_same(
            &one,
            &exposed("b1, b2 lost their disks, 2 of 3 replicas at a time")
        ));
        assert!(!is_same(&one, &Verdict::Pass));
        assert!(!is_same(&Verdict::Pass, &Verdict::Vacuous));
    }
}
