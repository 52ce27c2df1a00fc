//! Faults as a scenario declares them: with ranges to draw from, and random ones under a budget.

use ktrial_models::config::Place;
use ktrial_sim::{Chance, Duration, Sequence};

use crate::role::Role;
use crate::script::{Action, Script, ScriptEntry, Trigger, Unflushed, Way};
use crate::span::{Length, Span};

/// All faults of a scenario.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// Those that are written out.
    pub declared: Vec<DeclaredFault>,
    /// Those that are drawn.
    pub random: Vec<RandomFaults>,
    /// Where each of them stands, the written ones first.
    pub places: Vec<Place>,
}

/// A fault that is written out, with drawn instants and durations.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredFault {
    /// When.
    pub moment: Moment,
    /// What.
    pub action: Action,
    /// For how long, if it is taken back.
    pub lasting: Option<Span>,
}

/// When a declared fault happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Moment {
    /// So long after the clients started.
    At(Span),
    /// At a trigger and so long after it.
    On(Trigger, Span),
}

/// Faults drawn under a budget.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomFaults {
    /// How many: least and most.
    pub count: (u32, u32),
    /// Which kinds to draw from.
    pub kinds: Vec<FaultKind>,
    /// Whom they hit: one of these nodes each.
    pub on: Role,
    /// Within this stretch after the clients' start.
    pub within: Span,
    /// For how long each.
    pub lasting: Span,
    /// Only one at a time: the next begins after the one before was taken back and this long has passed.
    pub apart: Option<Duration>,
}

/// Kinds of faults that can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Kill a process.
    Kill,
    /// Power loss of one machine.
    PowerOff,
    /// Loss of one disk.
    LoseDisk,
    /// Pause of a process.
    Pause,
    /// An orderly restart.
    Stop,
    /// Cut a node off from all others, both ways.
    Isolate,
    /// Cut what a node sends.
    IsolateOut,
    /// Cut what a node is sent.
    IsolateIn,
    /// Cut one link, both ways.
    CutLink,
    /// Cut one link one way.
    CutLinkOneWay,
    /// Reset the connections of one link.
    ResetLink,
    /// Slow a node's links.
    Slow,
    /// Move a wall clock.
    Skew,
    /// Let a clock drift.
    Drift,
    /// Slow a disk.
    SlowDisk,
}

impl FaultKind {
    /// All kinds by the names scenarios use.
    pub const NAMES: [(&'static str, FaultKind); 15] = [
        ("kill", FaultKind::Kill),
        ("power_off", FaultKind::PowerOff),
        ("lose_disk", FaultKind::LoseDisk),
        ("pause", FaultKind::Pause),
        ("stop", FaultKind::Stop),
        ("isolate", FaultKind::Isolate),
        ("isolate_out", FaultKind::IsolateOut),
        ("isolate_in", FaultKind::IsolateIn),
        ("cut", FaultKind::CutLink),
        ("cut_one_way", FaultKind::CutLinkOneWay),
        ("reset", FaultKind::ResetLink),
        ("slow", FaultKind::Slow),
        ("skew", FaultKind::Skew),
        ("drift", FaultKind::Drift),
        ("slow_disk", FaultKind::SlowDisk),
    ];

    fn action(self, who: Role, other: Role, draws: &mut Sequence) -> Action {
        let everything = || Role::Except(Box::new(Role::Everything), Box::new(who.clone()));
        let size = draws.bits();
        let within = |bound: u64| ((u128::from(size) * u128::from(bound)) >> 64) as u64;
        match self {
            FaultKind::Kill => Action::Kill(who),
            FaultKind::PowerOff => Action::PowerOff {
                who,
                unflushed: Unflushed::Drawn,
            },
            FaultKind::LoseDisk => Action::LoseDisk(who),
            FaultKind::Pause => Action::Pause(who),
            FaultKind::Stop => Action::Stop(who),
            FaultKind::Isolate => Action::Cut {
                from: everything(),
                who,
                way: Way::Both,
            },
            FaultKind::IsolateOut => Action::Cut {
                from: everything(),
                who,
                way: Way::Out,
            },
            FaultKind::IsolateIn => Action::Cut {
                from: everything(),
                who,
                way: Way::In,
            },
            FaultKind::CutLink => Action::Cut {
                who,
                from: other,
                way: Way::Both,
            },
            FaultKind::CutLinkOneWay => Action::Cut {
                who,
                from: other,
                way: Way::Out,
            },
            FaultKind::ResetLink => Action::Reset { who, from: other },
            FaultKind::Slow => Action::Slow {
                from: everything(),
                who,
                way: Way::Both,
                latency: Length(Duration::millis(1 + within(500))),
            },
            FaultKind::Skew => Action::Skew {
                who,
                by_ms: within(240_001) as i64 - 120_000,
            },
            FaultKind::Drift => Action::Drift {
                who,
                by_ppm: within(200_001) as i32 - 100_000,
            },
            FaultKind::SlowDisk => Action::SlowDisk {
                who,
                times: 2 + within(200) as u32,
            },
        }
    }
}

/// The draws of a scenario's faults.
const FAULT_DRAWS: u64 = 0x4641_554c_0000;

impl Faults {
    /// In how many entries two lists of faults differ.
    pub fn differences(&self, other: &Faults) -> usize {
        fn count<T: PartialEq>(one: &[T], other: &[T]) -> usize {
            let changed = one.iter().zip(other).filter(|(one, other)| one != other);
            changed.count() + one.len().abs_diff(other.len())
        }
        count(&self.declared, &other.declared) + count(&self.random, &other.random)
    }

    /// The script of one trial. Each declared fault and each group of random ones draws from a sequence of its own,
    /// so that taking one away leaves the others as they were.
    pub fn expand(&self, chance: &Chance, nodes: &[String]) -> Script {
        let mut entries = Vec::new();
        for (number, fault) in self.declared.iter().enumerate() {
            let mut draws = chance.sequence(FAULT_DRAWS + number as u64);
            let trigger = match &fault.moment {
                Moment::At(span) => Trigger::At(Length(span.draw(&mut draws))),
                Moment::On(Trigger::On { happening, nth, .. }, span) => Trigger::On {
                    happening: happening.clone(),
                    nth: *nth,
                    after: Length(span.draw(&mut draws)),
                },
                Moment::On(Trigger::At(_), span) => Trigger::At(Length(span.draw(&mut draws))),
            };
            let lasting = fault.lasting.map(|span| Length(span.draw(&mut draws)));
            entries.push(ScriptEntry {
                trigger,
                action: fault.action.drawn(&mut draws),
                lasting,
            });
        }
        for (number, random) in self.random.iter().enumerate() {
            let mut draws = chance.sequence(FAULT_DRAWS + 0x1000 + number as u64);
            random.expand(&mut draws, nodes, &mut entries);
        }
        Script { entries }
    }
}

impl RandomFaults {
    fn expand(&self, draws: &mut Sequence, nodes: &[String], entries: &mut Vec<ScriptEntry>) {
        let count = draws.between(self.count.0.into(), self.count.1.into());
        let mut times: Vec<(Duration, Duration)> = (0..count)
            .map(|_| (self.within.draw(draws), self.lasting.draw(draws)))
            .collect();
        times.sort_unstable();
        if let Some(apart) = self.apart {
            let mut free = Duration::ZERO;
            for (at, lasting) in &mut times {
                *at = (*at).max(free);
                free = at.saturating_add(*lasting).saturating_add(apart);
            }
        }
        for (at, lasting) in times {
            let kind = self.kinds[draws.below(self.kinds.len() as u64) as usize];
            let who = Role::OneOf(Box::new(self.on.clone())).drawn(draws);
            let other = Role::Node(nodes[draws.below(nodes.len() as u64) as usize].clone());
            let action = kind.action(who, other, draws);
            if at <= self.within.most {
                let entry = ScriptEntry {
                    trigger: Trigger::At(Length(at)),
                    action,
                    lasting: Some(Length(lasting)),
                };
                entries.push(entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause_at(least: u64, most: u64) -> DeclaredFault {
        DeclaredFault {
            moment: Moment::At(Span {
                least: Duration::secs(least),
                most: Duration::secs(most),
            }),
            action: Action::Pause(Role::Node("b1".into())),
            lasting: None,
        }
    }

    #[test]
    fn taking_the_last_fault_away_leaves_the_others_as_they_were() {
        let both = Faults {
            declared: vec![pause_at(1, 9), pause_at(2, 20)],
            ..Faults::default()
        };
        let one = Faults {
            declared: vec![pause_at(1, 9)],
            ..Faults::default()
        };
        for seed in 0..20 {
            let chance = Chance::new(seed);
            assert_eq!(
                both.expand(&chance, &[]).entries[0],
                one.expand(&chance, &[]).entries[0]
            );
        }
    }

    #[test]
    fn faults_that_are_to_be_apart_do_not_overlap() {
        let random = RandomFaults {
            count: (3, 5),
            kinds: vec![FaultKind::Kill, FaultKind::Pause],
            on: Role::Brokers,
            within: Span {
                least: Duration::ZERO,
                most: Duration::secs(60),
            },
            lasting: Span {
                least: Duration::secs(1),
                most: Duration::secs(10),
            },
            apart: Some(Duration::secs(2)),
        };
        let faults = Faults {
            random: vec![random],
            ..Faults::default()
        };
        for seed in 0..50 {
            let script = faults.expand(&Chance::new(seed), &["b1".into()]);
            let mut free = Duration::ZERO;
            for entry in &script.entries {
                let (Trigger::At(at), Some(lasting)) = (&entry.trigger, entry.lasting) else {
                    panic!("{entry:?}")
                };
                assert!(at.0 >= free);
                free = at.0.saturating_add(lasting.0).saturating_add(Duration::secs(2));
            }
        }
    }
}
