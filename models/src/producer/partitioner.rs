//! Which partition a record goes to: `KafkaProducer.partition`, `BuiltInPartitioner`, `RoundRobinPartitioner`.

use crate::client::{Environment, Metadata, draw};
use crate::ids::PartitionId;
use crate::kafka::site;

/// Kafka's `Utils.murmur2`.
pub fn murmur2(data: &[u8]) -> u32 {
    const MIX: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(MIX);
        k ^= k >> 24;
        hash = hash.wrapping_mul(MIX) ^ k.wrapping_mul(MIX);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(MIX);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MIX);
    hash ^ hash >> 15
}

/// The partition of the key `"k{number}"` among `partitions`, those without a leader included.
pub fn partition_for_key(key: u32, partitions: u32) -> u32 {
    let mut bytes = [b'k'; 11];
    let mut digits = [0; 10];
    let (mut rest, mut count) = (key, 0);
    loop {
        digits[count] = b'0' + (rest % 10) as u8;
        count += 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    for place in 0..count {
        bytes[1 + place] = digits[count - 1 - place];
    }
    (murmur2(&bytes[..=count]) & 0x7fff_ffff) % partitions
}

/// The topic as a send saw it when its metadata were there (`Cluster` in `KafkaProducer.doSend`): what happens to the
/// metadata while the send waits for memory does not matter to it.
#[derive(Debug, Default)]
pub(super) struct TopicView {
    pub(super) partitions: Vec<PartitionId>,
    /// Indexes of those with a leader.
    available: Vec<u32>,
    /// The snapshot it was made of.
    snapshot: Option<u64>,
}

impl TopicView {
    /// Looks at the metadata of now; false, and nothing has changed: they do not know the topic.
    #[inline]
    pub(super) fn refresh(&mut self, topic: u16, metadata: &Metadata) -> bool {
        self.snapshot == Some(metadata.snapshots()) || self.look(topic, metadata)
    }

    fn look(&mut self, topic: u16, metadata: &Metadata) -> bool {
        let Some(partitions) = metadata.partitions(topic) else {
            return false;
        };
        self.snapshot = Some(metadata.snapshots());
        self.partitions.clear();
        self.partitions
            .extend(partitions.iter().map(|cached| cached.partition));
        let available = (0..)
            .zip(partitions)
            .filter(|(_, cached)| metadata.leader_node(cached).is_some());
        self.available.clear();
        self.available.extend(available.map(|(index, _)| index));
        true
    }

    fn available_or_any(&self, random: u32) -> u32 {
        match self.available.as_slice() {
            [] => random % self.partitions.len() as u32,
            available => available[random as usize % available.len()],
        }
    }
}

#[derive(Clone, Debug, Default)]
struct LoadStatistics {
    cumulative: Vec<u32>,
    partitions: Vec<u32>,
}

/// The sticky partition of a topic (KIP-794).
#[derive(Clone, Debug)]
pub(super) struct StickyPartitioner {
    sticky_batch_size: u32,
    /// The partition, and the bytes it got since it was chosen.
    current: Option<(u32, u32)>,
    /// Counts choices: tells whether the partition was changed meanwhile.
    choices: u64,
    /// None: uniform over the partitions with a leader.
    load: Option<LoadStatistics>,
}

impl StickyPartitioner {
    pub(super) fn new(sticky_batch_size: u32) -> Self {
        StickyPartitioner {
            sticky_batch_size: sticky_batch_size.max(1),
            current: None,
            choices: 0,
            load: None,
        }
    }

    /// The partition in use and the number of its choice.
    pub(super) fn peek(&mut self, view: &TopicView, environment: &mut impl Environment) -> (u32, u64) {
        match self.current {
            Some((partition, _)) => (partition, self.choices),
            None => (self.choose(view, environment), self.choices),
        }
    }

    /// How many partitions were chosen so far.
    #[cfg(test)]
    pub(super) fn choices(&self) -> u64 {
        self.choices
    }

    /// Whether another partition was chosen since choice number `choice`.
    pub(super) fn changed_since(&self, choice: u64) -> bool {
        self.choices != choice
    }

    fn choose(&mut self, view: &TopicView, environment: &mut impl Environment) -> u32 {
        self.choices += 1;
        let random = draw(environment, site::PARTITIONER, self.choices, 1 << 31) as u32;
        let partition = match &self.load {
            Some(load) => {
                let weight = *load.cumulative.last().expect("statistics are not empty");
                let weighted = random % weight;
                let index = load.cumulative.partition_point(|sum| *sum <= weighted);
                load.partitions[index]
            }
            None => view.available_or_any(random),
        };
        self.current = Some((partition, 0));
        partition
    }

    /// `bytes` more went to the sticky partition; it is changed when it got enough and `may_switch`, or twice that.
    pub(super) fn appended(
        &mut self,
        bytes: u32,
        may_switch: bool,
        view: &TopicView,
        environment: &mut impl Environment,
    ) {
        let Some((_, produced)) = &mut self.current else {
            return;
        };
        *produced += bytes;
        let enough = *produced >= self.sticky_batch_size && may_switch;
        if enough || *produced >= self.sticky_batch_size.saturating_mul(2) {
            self.choose(view, environment);
        }
    }

    /// Queue lengths of the partitions that are to be chosen from (`updatePartitionLoadStats`); `all` counts those
    /// left out too.
    pub(super) fn update_load(&mut self, queues: &[(u32, u32)], all: usize) {
        let longest = queues.iter().map(|(_, length)| *length).max();
        let equal = queues.windows(2).all(|two| two[0].1 == two[1].1);
        let Some(longest) = longest.filter(|_| all >= 2 && !(equal && queues.len() == all)) else {
            self.load = None;
            return;
        };
        let load = self.load.get_or_insert_default();
        load.cumulative.clear();
        load.partitions.clear();
        let mut sum = 0;
        for (partition, length) in queues {
            sum += longest + 1 - length;
            load.cumulative.push(sum);
            load.partitions.push(*partition);
        }
    }

    /// Adaptive partitioning is off, or some partition never had a batch.
    pub(super) fn forget_load(&mut self) {
        self.load = None;
    }
}

/// `RoundRobinPartitioner`: the next of the partitions with a leader, for records with a key too.
pub(super) fn round_robin(counter: &mut u32, view: &TopicView) -> u32 {
    let next = *counter;
    *counter = counter.wrapping_add(1);
    view.available_or_any(next & 0x7fff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_gives_kafkas_values() {
        let cases: [(&str, i32); 6] = [
            ("21", -973932308),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            ("abc", 479470107),
        ];
        for (text, expected) in cases {
            assert_eq!(murmur2(text.as_bytes()) as i32, expected, "{text}");
        }
    }

    #[test]
    fn a_key_goes_to_the_partition_of_its_text() {
        for key in [0, 7, 10, 4_294_967_295] {
            let expected = (murmur2(format!("k{key}").as_bytes()) & 0x7fff_ffff) % 12;
            assert_eq!(partition_for_key(key, 12), expected);
        }
    }

    #[test]
    fn longer_queues_get_less_weight() {
        let mut sticky = StickyPartitioner::new(10);
        sticky.update_load(&[(0, 3), (1, 0), (2, 1)], 3);
        let load = sticky.load.expect("queues differ");
        assert_eq!(load.cumulative, [1, 5, 8]);
    }

    #[test]
    fn equal_queues_are_chosen_from_uniformly_unless_one_is_left_out() {
        let mut sticky = StickyPartitioner::new(10);
        sticky.update_load(&[(0, 2), (1, 2)], 2);
        assert!(sticky.load.is_none());
        sticky.update_load(&[(0, 2), (1, 2)], 3);
        assert!(sticky.load.is_some());
    }
}
