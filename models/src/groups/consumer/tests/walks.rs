//! Members, answers and coordinators that come and go as they like: nothing is ever owned twice, and in the end all is
//! owned.

use super::*;

struct Bits(u64);

impl Bits {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A member as its process sees itself.
#[derive(Clone, Debug, Default)]
struct Process {
    id: u64,
    instance: Option<u16>,
    epoch: i32,
    topics: Vec<u16>,
    owned: Vec<u32>,
    /// An answer did not come: the next request says everything.
    unsure: bool,
    /// It cannot go on: somebody has its instance id, were it itself before it was fenced.
    dead: bool,
}

impl Process {
    fn request(&self, epoch: i32) -> ConsumerGroupHeartbeatRequest {
        let all = ConsumerGroupHeartbeatRequest {
            rebalance_timeout: Some(Duration::secs(300)),
            subscribed_topics: Some(self.topics.iter().copied().collect()),
            ..heartbeat(self.id, epoch)
        };
        ConsumerGroupHeartbeatRequest {
            instance: self.instance.map(GroupInstanceId),
            owned: Some(partitions(&self.owned)),
            ..match self.unsure || epoch == 0 {
                true => all,
                false => heartbeat(self.id, epoch),
            }
        }
    }

    fn hears(&mut self, answer: Result<Told, ErrorCode>) {
        match answer {
            Ok((epoch, assignment)) => {
                self.epoch = epoch;
                self.unsure = false;
                if let Some(assignment) = assignment {
                    self.owned = assignment;
                }
            }
            // Nothing was changed, and all is asked again.
            Err(ErrorCode::NotEnoughReplicas) => self.unsure = true,
            Err(error) => {
                self.owned.clear();
                self.epoch = 0;
                self.dead = error == ErrorCode::UnreleasedInstanceId;
            }
        }
    }
}

struct Walk {
    bench: Bench,
    bits: Bits,
    processes: Vec<Process>,
    ids: u64,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut bench = Bench::new();
        bench.create_topic(1, 4);
        let mut bits = Bits(seed);
        bench.settings.group_consumer_assignment_interval_ms = Duration::millis(bits.below(2) * 100);
        Walk {
            bench,
            bits,
            processes: Vec::new(),
            ids: 0,
        }
    }

    fn topics(&mut self) -> Vec<u16> {
        match self.bits.below(4) {
            0 => vec![0],
            1 => vec![1],
            _ => vec![0, 1],
        }
    }

    fn start(&mut self) {
        self.ids += 1;
        let id = self.bits.below(1 << 20) << 8 | self.ids;
        let taken = |instance: u16| self.processes.iter().any(|one| one.instance == Some(instance));
        let instance = Some(self.bits.below(6) as u16).filter(|instance| *instance < 3 && !taken(*instance));
        let topics = self.topics();
        self.processes.push(Process {
            id,
            instance,
            topics,
            ..Process::default()
        });
    }

    fn step(&mut self) {
        let count = self.processes.len() as u64;
        let which = self.bits.below(count.max(1)) as usize;
        match self.bits.below(20) {
            0 if count < 6 => self.start(),
            1 if count > 0 => {
                // A static one may come back.
                let process = self.processes.remove(which);
                let epoch = if process.instance.is_some() && self.bits.below(2) == 0 {
                    -2
                } else {
                    -1
                };
                let _ = self.bench.beat(process.request(epoch));
            }
            2 if count > 0 => {
                let topics = self.topics();
                let process = &mut self.processes[which];
                process.topics = topics;
                process.unsure = true;
            }
            3 => self.bench.fail_over(),
            4 if self.bits.below(4) == 0 => {
                let last = self.bench.image.topic(TopicId(1)).unwrap().partitions.len() as u32;
                self.bench.create_partitions(TopicId(1), last..last + 1);
                self.bench.shard.topics_changed(&[1]);
            }
            5 if count > 0 => {
                // The request arrives, the answer does not.
                let request = self.processes[which].request(self.processes[which].epoch);
                let _ = self.bench.beat(request);
                self.processes[which].unsure = true;
            }
            6 if count > 0 => {
                let request = self.processes[which].request(self.processes[which].epoch);
                let request = GroupRequest::ConsumerGroupHeartbeat(Box::new(request));
                let error = self.bench.ask_and(request, Err(ErrorCode::NotEnoughReplicas));
                let error = error.expect_err("it cannot be written");
                self.processes[which].hears(Err(error));
            }
            _ if count > 0 => self.beat(which),
            _ => {}
        }
        self.processes.retain(|one| !one.dead);
        self.bench.now += Duration::millis(20);
        self.nothing_is_owned_twice();
    }

    fn beat(&mut self, which: usize) {
        let request = self.processes[which].request(self.processes[which].epoch);
        let answer = self.bench.beat(request);
        self.processes[which].hears(answer);
    }

    fn nothing_is_owned_twice(&self) {
        let mut owned: Vec<u32> = self
            .processes
            .iter()
            .flat_map(|one| one.owned.iter().copied())
            .collect();
        owned.sort_unstable();
        let all = owned.len();
        owned.dedup();
        assert_eq!(owned.len(), all, "{:?}", self.processes);
    }

    /// Who is away, or was fenced for good, is removed.
    fn remove_absent(&mut self) {
        self.processes.retain(|one| !one.dead);
        for id in self.bench.members() {
            let member = self.bench.group().member(MemberId(id)).unwrap();
            let mut processes = self.processes.iter();
            if !processes.any(|one| one.id == id && one.epoch > 0) {
                let goodbye = ConsumerGroupHeartbeatRequest {
                    instance: member.metadata.instance,
                    ..heartbeat(id, -1)
                };
                self.bench.beat(goodbye).unwrap();
            }
        }
    }

    /// Everybody sends heartbeats until nothing moves.
    fn settle(&mut self) {
        self.bench.fail_over();
        if self.processes.is_empty() {
            self.start();
        }
        for _ in 0..16 {
            self.remove_absent();
            for which in 0..self.processes.len() {
                self.beat(which);
                self.nothing_is_owned_twice();
            }
            self.bench.now += Duration::millis(100);
        }
    }
}

#[test]
fn however_members_answers_and_coordinators_come_and_go_all_is_owned_once_in_the_end() {
    for seed in 0..400 {
        let mut walk = Walk::new(seed);
        (0..120).for_each(|_| walk.step());
        walk.settle();
        assert_eq!(
            walk.bench.group().state(),
            ConsumerGroupState::Stable,
            "seed {seed}"
        );
        let image = &walk.bench.image;
        for (topic, described) in image.topics() {
            let wanted = walk
                .processes
                .iter()
                .any(|one| one.topics.contains(&described.specification));
            for partition in &described.partitions {
                let owners = walk
                    .processes
                    .iter()
                    .filter(|one| one.owned.contains(&partition.0));
                assert_eq!(
                    owners.count(),
                    usize::from(wanted),
                    "seed {seed}: {partition} of {topic}"
                );
            }
        }
    }
}
