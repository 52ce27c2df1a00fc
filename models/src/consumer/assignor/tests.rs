use super::*;
use crate::protocol::StickyUserData;

/// What Kafka 4.3.1's classes assign: `java Cases 43 48`.
const CASES: &str = include_str!("cases.txt");

const ALL: [Assignor; 4] = [
    Assignor::Range,
    Assignor::RoundRobin,
    Assignor::Sticky,
    Assignor::CooperativeSticky,
];

struct Case {
    line: usize,
    assignor: Assignor,
    topics: Vec<AssignableTopic>,
    members: Vec<GroupMember>,
    gives: Vec<Vec<PartitionId>>,
    throws: bool,
}

fn list(field: &str) -> impl Iterator<Item = &str> {
    field.split(',').filter(|one| *one != "-")
}

impl Case {
    fn topic(&mut self, name: &str, partitions: &str) {
        let topic = self.topics.len() as u16;
        let each = partitions.split('|').filter(|racks| *racks != "none");
        let partitions = each.enumerate().map(|(index, racks)| AssignablePartition {
            partition: PartitionId(u32::from(topic) * 100 + index as u32),
            racks: list(racks)
                .map(|rack| rack.parse().expect("racks are numbers"))
                .collect(),
        });
        self.topics.push(AssignableTopic {
            topic,
            name: name.to_owned(),
            partitions: partitions.collect(),
        });
    }

    fn number(&self, name: &str) -> u16 {
        let topic = self.topics.iter().find(|topic| topic.name == name);
        topic.expect("topics come first").topic
    }

    fn partitions(&self, field: &str) -> Vec<PartitionId> {
        let one = |one: &str| {
            let (name, index) = one.split_once(':').expect("topic:index");
            let index: u32 = index.parse().expect("an index");
            PartitionId(u32::from(self.number(name)) * 100 + index)
        };
        let mut partitions: Vec<PartitionId> = list(field).map(one).collect();
        partitions.sort_by_key(|id| (self.topics[(id.0 / 100) as usize].name.clone(), *id));
        partitions
    }

    fn member(&mut self, fields: &[&str]) {
        let generation = |field: &str| GenerationId(field.parse().expect("a generation"));
        let user_data = (fields[6] != "-").then(|| StickyUserData {
            previous: fields
                .get(8)
                .map_or_else(SmallVec::new, |field| self.partitions(field).into()),
            generation: generation(fields[7]),
        });
        let subscription = Subscription {
            topics: list(fields[3]).map(|name| self.number(name)).collect(),
            user_data,
            owned: self.partitions(fields[4]).into(),
            generation: generation(fields[5]),
            rack: fields[2].parse().ok(),
        };
        // iNUMBER.PLACE: the numbers sort as the texts do only if all have two digits.
        let instance = list(fields[1]).next().map(|text| {
            let (number, place) = text[1..].split_once('.').expect("iNUMBER.PLACE");
            let number: u16 = number.parse().expect("a number");
            GroupInstanceId(number * 10 + place.parse::<u16>().expect("a place"))
        });
        self.members.push(GroupMember {
            member: fields[0].to_owned(),
            instance,
            subscription: Arc::new(subscription),
        });
    }
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (line, text) in text.lines().enumerate() {
        let fields: Vec<&str> = text.split(' ').collect();
        if fields[0] == "case" {
            let named = ALL.into_iter().find(|assignor| assignor.name() == fields[1]);
            cases.push(Case {
                line: line + 1,
                assignor: named.expect("one of the four"),
                topics: Vec::new(),
                members: Vec::new(),
                gives: Vec::new(),
                throws: false,
            });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        match fields[0] {
            "topic" => case.topic(fields[1], fields[2]),
            "member" => case.member(&fields[1..]),
            "gives" => case.gives.push(case.partitions(fields[1])),
            "throws" => case.throws = true,
            other => panic!("line {}: {other}", line + 1),
        }
    }
    cases
}

fn agree(text: &str) -> usize {
    let cases = cases(text);
    for case in &cases {
        let assigned = Assignors::default().assign(case.assignor, &case.topics, &case.members);
        let expected = match case.throws {
            true => Err(AssignorThrows),
            false => Ok(case.gives.clone()),
        };
        assert_eq!(
            assigned,
            expected,
            "{} at line {}",
            case.assignor.name(),
            case.line
        );
    }
    cases.len()
}

#[test]
fn assignments_are_those_of_kafkas_own_classes() {
    assert_eq!(agree(CASES), 48);
}

#[test]
fn the_default_list_is_eager_and_without_range_it_is_cooperative() {
    let both = [Assignor::Range, Assignor::CooperativeSticky];
    assert_eq!(protocol_of(&both), RebalanceProtocol::Eager);
    assert_eq!(protocol_of(&both[1..]), RebalanceProtocol::Cooperative);
}

fn topic(partitions: u32) -> AssignableTopic {
    AssignableTopic {
        topic: 0,
        name: "orders".to_owned(),
        partitions: (0..partitions)
            .map(|index| AssignablePartition {
                partition: PartitionId(index),
                racks: SmallVec::new(),
            })
            .collect(),
    }
}

fn member(name: &str, owned: &[u32], generation: i32) -> GroupMember {
    GroupMember {
        member: name.to_owned(),
        instance: None,
        subscription: Arc::new(Subscription {
            topics: SmallVec::from_slice(&[0]),
            user_data: None,
            owned: owned.iter().map(|index| PartitionId(*index)).collect(),
            generation: GenerationId(generation),
            rack: None,
        }),
    }
}

#[test]
fn cooperative_sticky_leaves_out_what_another_member_owns_until_it_has_given_that_up() {
    let assign = |members: &[GroupMember]| {
        let assigned = Assignors::default().assign(Assignor::CooperativeSticky, &[topic(4)], members);
        assigned.expect("nothing throws")
    };
    let first = assign(&[member("a", &[0, 1, 2, 3], 1), member("b", &[], 1)]);
    assert_eq!(first, [vec![PartitionId(0), PartitionId(1)], vec![]]);
    let second = assign(&[member("a", &[0, 1], 2), member("b", &[], 2)]);
    assert_eq!(second[1], [PartitionId(2), PartitionId(3)]);
}

#[test]
fn the_sticky_assignors_remember_the_newest_generation_they_have_seen() {
    let mut assignors = Assignors::default();
    let members = [member("a", &[0], 7)];
    let assigned = assignors.assign(Assignor::CooperativeSticky, &[topic(1)], &members);
    assert_eq!(assigned, Ok(vec![vec![PartitionId(0)]]));
    assert_eq!(assignors.newest, [GenerationId::NONE, GenerationId(7)]);
}
