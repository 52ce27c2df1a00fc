//! What a partition's log costs: `cargo bench --package ktrial-models`.
//!
//! Each iteration works on a log of 1,000 batches, so that a log's growth is in the figures; divide by 1,000.

use divan::Bencher;
use divan::counter::ItemsCount;
use ktrial_models::config::TopicSettings;
use ktrial_models::documents::Document;
use ktrial_models::ids::{LeaderEpoch, Offset, PartitionId, ProducerId, RecordId};
use ktrial_models::log::{Log, Machine};
use ktrial_models::mutation::Mutations;
use ktrial_models::notes::Note;
use ktrial_models::records::{Batch, Contents, LogEntry, Numbering, Record};
use ktrial_sim::{Arena, Disk, Duration, EventId, NodeId, Time};
use smallvec::SmallVec;

const BATCHES: u32 = 1_000;
const EPOCH: LeaderEpoch = LeaderEpoch(1);

fn main() {
    divan::main();
}

#[divan::bench]
fn append_as_leader(bencher: Bencher) {
    let mut desk = Desk::default();
    let mut append = || desk.filled().end();
    bencher.counter(ItemsCount::new(BATCHES)).bench_local(&mut append);
}

#[divan::bench]
fn append_as_follower(bencher: Bencher) {
    let mut desk = Desk::default();
    let leader = desk.filled();
    let batches: Vec<Batch> = leader.batches(&mut desk).copied().collect();
    bencher.counter(ItemsCount::new(BATCHES)).bench_local(|| {
        desk.disk = Disk::default();
        let mut log = desk.load();
        for batch in &batches {
            let appended = log.append_as_follower(std::slice::from_ref(batch), EPOCH, &mut desk);
            appended.expect("the disk is well");
        }
        log.end()
    });
}

/// Every batch is fetched by itself, as by a follower that keeps up.
#[divan::bench]
fn fetch_one_by_one(bencher: Bencher) {
    let mut desk = Desk::default();
    let log = desk.filled();
    bencher.counter(ItemsCount::new(BATCHES)).bench_local(|| {
        let mut from = Offset(0);
        while from < log.end() {
            let mut into = SmallVec::new();
            let read = log.read(from, 1, true, log.end(), &mut into, &mut desk);
            read.expect("within the log");
            from = into[0].next_offset();
        }
    });
}

/// A reader from the beginning: as much as one answer holds.
#[divan::bench]
fn fetch_a_megabyte(bencher: Bencher) {
    let mut desk = Desk::default();
    let log = desk.filled();
    bencher.counter(ItemsCount::new(BATCHES)).bench_local(|| {
        let mut into = SmallVec::new();
        let read = log.read(Offset(0), 1 << 20, true, log.end(), &mut into, &mut desk);
        assert_eq!((read, into.len()), (Ok(500 * BATCHES), BATCHES as usize));
    });
}

/// A process that was killed starts: everything is read, producers are put together anew.
#[divan::bench]
fn load_after_a_kill(bencher: Bencher) {
    let mut desk = Desk::default();
    desk.filled();
    bencher
        .counter(ItemsCount::new(BATCHES))
        .bench_local(|| desk.load().end());
}

/// A machine of nothing but a disk.
#[derive(Default)]
struct Desk {
    disk: Disk<LogEntry, Document>,
    contents: Contents,
}

impl Machine for Desk {
    fn disk(&mut self) -> &mut Disk<LogEntry, Document> {
        &mut self.disk
    }
    fn contents(&mut self) -> &Contents {
        &self.contents
    }
    fn wall(&self) -> Time {
        Time::ZERO
    }
    fn event(&self) -> EventId {
        EventId::SET_UP
    }
    fn because(&mut self, _: EventId) {}
    fn tell(&mut self, _: Note) {}
}

impl Desk {
    fn load(&mut self) -> Log {
        let expiration = Duration::secs(86_400);
        let loaded = Log::load(
            PartitionId(0),
            TopicSettings::default(),
            expiration,
            Mutations::default(),
            false,
            self,
        );
        loaded.expect("the disk is well").log
    }

    /// A log anew with 1,000 batches of five records of an idempotent producer.
    fn filled(&mut self) -> Log {
        self.disk = Disk::default();
        self.contents.clear();
        let mut log = self.load();
        for number in 0..BATCHES {
            let batch = self.batch(number);
            log.append_as_leader(&batch, EPOCH, self).expect("in sequence");
        }
        log
    }

    fn batch(&mut self, number: u32) -> Batch {
        let records = self.contents.store((0..5).map(|record| Record {
            id: RecordId {
                producer: NodeId(9),
                number: 5 * number + record,
            },
            key: None,
            bytes: 100,
            timestamp: Time::ZERO,
        }));
        Batch {
            base_offset: Offset(0),
            leader_epoch: LeaderEpoch(0),
            records,
            bytes: 500,
            numbering: Some(Numbering {
                producer: ProducerId(1),
                epoch: 0,
                base_sequence: 5 * number,
            }),
            max_timestamp: Time::ZERO,
            corrupt: false,
        }
    }
}
