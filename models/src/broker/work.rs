//! One request in the hands of a handler.
//!
//! The steps of a request are taken as soon as a handler has it, up to an open cut or a wait for the disk; the
//! handler is busy for the service time behind them, and only then the answer leaves, or the request is parked, and
//! whoever waits for what the request moved is looked after (`KafkaApis.handle`, `tryCompleteActions`).

use ktrial_sim::{ConnectionId, Duration};
use smallvec::SmallVec;

use crate::broker::fetch::FetchWork;
use crate::broker::produce::ProduceWork;
use crate::ids::PartitionId;
use crate::protocol::{Correlation, Request, Response};

/// Which step comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A produce request: the next partition's append.
    Append,
    /// The disk is done with what `flush.messages` asked for.
    Flushed,
    /// The high watermark after an append.
    HighWatermarkAfterAppend,
    /// A fetch: reading the next partition.
    Read,
    /// Recording where a follower is.
    FollowerState,
    /// Letting it into the ISR.
    ExpandIsr,
    /// The high watermark after a follower's fetch.
    HighWatermarkAfterFetch,
    /// The service time is over.
    Finish,
    /// Behind the cut before parking.
    Park,
}

/// What a request is answered with, if not by produce or fetch.
#[derive(Debug, Default)]
pub enum Plain {
    /// Produce or fetch.
    #[default]
    Neither,
    /// This answer.
    Answer(Response),
    /// What the controller says.
    Forward(Request),
    /// What the coordinator of a group says.
    Coordinate(Request),
}

/// What an append did to those who wait (`LeaderHwChange`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched {
    /// The partition.
    pub partition: PartitionId,
    /// The high watermark moved; else only the log's end did.
    pub high_watermark_moved: bool,
}

/// How a step ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The next step follows at once.
    Next,
    /// The next step follows after a wait.
    Wait(Duration),
    /// The same step is tried again when a lock on the partition was given back.
    Locked(PartitionId),
    /// All steps are done.
    Done,
}

/// See the module. Kept in a box and used again, so that its lists keep their memory.
#[derive(Debug)]
pub struct Work {
    /// Who asks.
    pub connection: ConnectionId,
    /// The request's number there.
    pub correlation: Correlation,
    /// What comes next.
    pub step: Step,
    /// Names this request in draws: connection and number.
    pub identity: u64,
    /// Bytes of batches that went in or came out.
    pub bytes: u32,
    /// The service time is over.
    pub served: bool,
    /// A fetch; else produce, or what `plain` says.
    pub is_fetch: bool,
    /// A produce request.
    pub produce: ProduceWork,
    /// A fetch.
    pub fetch: FetchWork,
    /// Another request.
    pub plain: Plain,
    /// Partitions that were appended to.
    pub touched: SmallVec<[Touched; 2]>,
}

impl Work {
    /// Memory for one request.
    pub fn new() -> Box<Work> {
        Box::new(Work {
            connection: ConnectionId(0),
            correlation: Correlation(0),
            step: Step::Finish,
            identity: 0,
            bytes: 0,
            served: false,
            is_fetch: false,
            produce: ProduceWork::default(),
            fetch: FetchWork::default(),
            plain: Plain::Neither,
            touched: SmallVec::new(),
        })
    }

    /// Names a passage of this request through a cut at its partition number `index`.
    pub fn passage(&self, index: usize) -> u64 {
        self.identity.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index as u64
    }
}
