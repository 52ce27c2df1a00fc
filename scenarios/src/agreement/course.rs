//! Courses of partitions, compared with their nodes renamed.

use ktrial_models::history::{Course, History, NodeId, PartitionId, Replicas, Step};
use ktrial_sim::Time;

use super::faults::{Stroke, counterparts};

/// Partitions of more brokers than this are not compared: every way of renaming them is tried.
pub(super) const MOST_BROKERS: usize = 6;

/// Leader and sets of replicas, brokers by their place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    leader: Option<u8>,
    sets: [u64; 3],
}

/// What a partition went through, ready to be compared.
#[derive(Clone, Debug, Default)]
pub(super) struct States {
    states: Vec<(Time, State)>,
    /// By place, what histories call the broker.
    brokers: Vec<String>,
}

/// How far, and when, another run went through the states of a course.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Followed {
    /// When it took each state, as far as it did.
    pub(super) times: Vec<Time>,
    /// When it did each fault to the broker of the same role.
    pub(super) strokes: Vec<Option<Time>>,
}

impl Followed {
    /// How well it corresponds: first the faults, then the states.
    pub(super) fn rank(&self) -> (usize, usize) {
        (self.strokes.iter().flatten().count(), self.times.len())
    }
}

impl States {
    /// The states of a partition.
    pub(super) fn of(history: &History, partition: PartitionId) -> Self {
        let steps = Course::of(history, partition).steps;
        let changes = steps.iter().filter_map(|(time, step)| match step {
            Step::Changed(replicas) => Some((*time, replicas)),
            Step::Fault { .. } => None,
        });
        let mut brokers: Vec<NodeId> = Vec::new();
        let states = changes.map(|(time, replicas)| (time, state(replicas, &mut brokers)));
        let states = states.collect();
        States {
            states,
            brokers: brokers.iter().map(|broker| format!("b{}", broker.0)).collect(),
        }
    }

    /// How many brokers it names.
    pub(super) fn brokers(&self) -> usize {
        self.brokers.len()
    }

    /// When each state was told.
    pub(super) fn times(&self) -> impl Iterator<Item = Time> {
        self.states.iter().map(|(time, _)| *time)
    }

    /// When another course took the states of this one, one after the other and perhaps with others between them
    /// (a watcher that asks every quarter of a second misses some), as far as it does so. Brokers are renamed so that
    /// the same faults struck the same brokers; of such renamings the one counts with which the other gets furthest.
    pub(super) fn followed_by(&self, other: &States, strokes: &[Stroke], others: &[Stroke]) -> Followed {
        let mut furthest = Followed::default();
        let brokers = self.brokers.len().max(other.brokers.len()).min(MOST_BROKERS);
        for names in permutations(brokers) {
            let name = |broker: &str| {
                let place = self.brokers.iter().position(|known| known == broker)?;
                let other = other.brokers.get(usize::from(*names.get(place)?));
                Some(other.map_or("", String::as_str))
            };
            let found = counterparts(strokes, others, name).into_iter();
            let mut followed = Followed {
                times: Vec::new(),
                strokes: found.map(|found| found.map(|found| others[found].time)).collect(),
            };
            let mut rest = other.states.iter();
            for (_, state) in &self.states {
                let state = renamed(state, &names);
                let Some((time, _)) = rest.find(|(_, other)| *other == state) else {
                    break;
                };
                followed.times.push(*time);
            }
            if followed.rank() > furthest.rank() {
                furthest = followed;
            }
        }
        furthest
    }
}

fn state(replicas: &Replicas, brokers: &mut Vec<NodeId>) -> State {
    let mut place = |node: &NodeId| {
        let known = brokers.iter().position(|known| known == node);
        let place = known.unwrap_or_else(|| {
            brokers.push(*node);
            brokers.len() - 1
        });
        place.min(63) as u8
    };
    let leader = replicas.leader.as_ref().map(&mut place);
    let mut set = |nodes: &[NodeId]| nodes.iter().fold(0, |set, node| set | 1_u64 << place(node));
    State {
        leader,
        sets: [
            set(&replicas.isr),
            set(&replicas.elr),
            set(&replicas.last_known_elr),
        ],
    }
}

fn renamed(state: &State, names: &[u8]) -> State {
    let name = |place: u8| names.get(usize::from(place)).copied().unwrap_or(place);
    let set = |set: u64| {
        (0..64)
            .filter(|place| set >> place & 1 == 1)
            .fold(0, |renamed, place| renamed | 1 << name(place))
    };
    State {
        leader: state.leader.map(name),
        sets: state.sets.map(set),
    }
}

/// Every order of the first `count` numbers.
fn permutations(count: usize) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    for next in 0..count as u8 {
        let longer = all.iter().flat_map(|one: &Vec<u8>| {
            (0..=one.len()).map(move |at| {
                let mut one = one.clone();
                one.insert(at, next);
                one
            })
        });
        all = longer.collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use ktrial_models::history::{Header, Operation, PartitionState};

    use super::*;

    /// A course of states such as `1 123` (leader, ISR), a second apart.
    fn course(states: &[&str]) -> States {
        let mut history = History::new(Header::default());
        let topic = history.names.topic("orders");
        let partition = history.names.partition(topic, 0);
        for (second, state) in states.iter().enumerate() {
            let (leader, isr) = state.split_once(' ').expect("two words");
            let state = PartitionState {
                partition,
                leader: leader.parse().ok().map(NodeId),
                isr: isr.bytes().map(|digit| NodeId(i32::from(digit - b'0'))).collect(),
                elr: vec![],
                last_known_elr: vec![],
            };
            let at = Time(second as u64 * 1_000_000_000);
            history.push(at, Operation::State(Box::new(state)));
        }
        States::of(&history, partition)
    }

    /// When `real` is taken by `other`, without any fault.
    fn times(real: &States, other: &[&str]) -> Vec<Time> {
        real.followed_by(&course(other), &[], &[]).times
    }

    #[test]
    fn a_course_is_followed_under_other_names_and_past_states_that_nobody_saw() {
        let real = course(&["1 123", "1 1"]);
        assert_eq!(
            times(&real, &["3 123", "3 23", "3 3"]),
            [Time(0), Time(2_000_000_000)]
        );
    }

    #[test]
    fn a_course_is_followed_as_far_as_it_goes_and_not_back_to_front() {
        let real = course(&["1 123", "1 1"]);
        assert_eq!(times(&real, &["3 123", "2 2"]), [Time(0)]);
        assert_eq!(times(&real, &["3 3", "3 123"]).len(), 1);
        assert_eq!(times(&real, &["3 12"]), []);
    }

    #[test]
    fn brokers_with_any_numbers_are_compared() {
        let mut history = History::new(Header::default());
        let topic = history.names.topic("orders");
        let partition = history.names.partition(topic, 0);
        let state = PartitionState {
            partition,
            leader: Some(NodeId(1001)),
            isr: vec![NodeId(1001), NodeId(7), NodeId(-1)],
            elr: vec![],
            last_known_elr: vec![],
        };
        history.push(Time(0), Operation::State(Box::new(state)));
        let real = States::of(&history, partition);
        assert_eq!(real.brokers(), 3);
        assert_eq!(times(&real, &["2 123"]), [Time(0)]);
    }

    #[test]
    fn a_course_is_followed_only_if_the_same_faults_strike_the_same_brokers() {
        let stroke = |who: &str| {
            let mut history = History::new(Header::default());
            let partition = history.names.topic("orders");
            let partition = history.names.partition(partition, 0);
            let state = PartitionState {
                partition,
                leader: None,
                isr: vec![],
                elr: vec![],
                last_known_elr: vec![],
            };
            history.push(Time(0), Operation::State(Box::new(state)));
            let (what, who) = (history.names.text("kill"), history.names.text(who));
            history.push(Time(1), Operation::Fault { what, who });
            crate::agreement::faults::strokes(&history)
        };
        let (real, other) = (course(&["1 123", "1 13"]), course(&["3 123", "3 23"]));
        let killed_and_gone = real.followed_by(&other, &stroke("b2"), &stroke("b1"));
        assert_eq!(killed_and_gone.rank(), (1, 2));
        let killed_and_still_there = real.followed_by(&other, &stroke("b2"), &stroke("b2"));
        assert_eq!(killed_and_still_there.rank(), (1, 1));
    }

    #[test]
    fn there_are_as_many_renamings_as_orders() {
        assert_eq!(permutations(0).len(), 1);
        assert_eq!(permutations(4).len(), 24);
    }
}
