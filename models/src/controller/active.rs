//! A controller that leads the metadata quorum: the state that runs ahead of the commits, and the answers that
//! wait for them (`QuorumController.ControllerWriteEvent`, `DeferredEventQueue`).

use std::collections::VecDeque;

use ktrial_sim::{ConnectionId, Context};

use crate::controller::heartbeats::Heartbeats;
use crate::controller::periodic::Periodic;
use crate::controller::state::ClusterState;
use crate::ids::{Offset, QuorumEpoch};
use crate::kafka::Kafka;
use crate::metadata::MetadataRecord;
use crate::protocol::{Correlation, ErrorCode, Response};
use crate::raft::Raft;
use crate::server::respond;

/// Where an answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) connection: ConnectionId,
    pub(super) correlation: Correlation,
}

/// An event that was worked through and waits until the log is committed up to an offset.
struct Deferred {
    offset: Offset,
    /// None for the controller's own events, and once the caller's connection is gone.
    answer: Option<(Caller, Response)>,
}

/// The quorum has another leader, so that nothing could be appended.
pub(super) struct NoLonger;

pub(super) struct Active {
    pub(super) epoch: QuorumEpoch,
    /// After everything written so far, committed or not.
    pub(super) state: ClusterState,
    pub(super) heartbeats: Heartbeats,
    pub(super) periodic: Periodic,
    /// In order of their offset.
    deferred: VecDeque<Deferred>,
}

impl Active {
    pub(super) fn new(
        epoch: QuorumEpoch,
        state: ClusterState,
        heartbeats: Heartbeats,
        periodic: Periodic,
    ) -> Self {
        Active {
            epoch,
            state,
            heartbeats,
            periodic,
            deferred: VecDeque::new(),
        }
    }

    /// Applies the records of an event, appends them as one batch, and answers when they are committed. An event
    /// without records read state that may not be committed: it waits for what is pending. Returns the offset of
    /// the last record of the log.
    ///
    /// # Errors
    /// If this voter does not lead the epoch any more. The answer waits to be failed then.
    pub(super) fn write(
        &mut self,
        records: &[MetadataRecord],
        answer: Option<(Caller, Response)>,
        raft: &mut Raft,
        context: &mut Context<'_, Kafka>,
    ) -> Result<Offset, NoLonger> {
        if records.is_empty() {
            match (self.deferred.back().map(|last| last.offset), answer) {
                (Some(offset), answer) => self.deferred.push_back(Deferred { offset, answer }),
                (None, Some((caller, response))) => send(caller, response, context),
                (None, None) => {}
            }
            return Ok(Offset(self.state.end.0 - 1));
        }
        for record in records {
            replay(&mut self.state, &mut self.heartbeats, record);
        }
        let offset = Offset(self.state.end.0 - 1);
        self.deferred.push_back(Deferred { offset, answer });
        let appended = raft.append(self.epoch, records, context).ok_or(NoLonger)?;
        assert_eq!(appended, offset, "only the active controller appends");
        Ok(offset)
    }

    /// Answers what waited for the commit of everything below `to`.
    pub(super) fn complete(&mut self, to: Offset, context: &mut Context<'_, Kafka>) {
        while self.deferred.front().is_some_and(|event| event.offset < to) {
            let event = self.deferred.pop_front().expect("there is a front");
            if let Some((caller, response)) = event.answer {
                send(caller, response, context);
            }
        }
    }

    /// Fails what waits: whether it will ever be committed is not for this controller to say.
    pub(super) fn fail_all(&mut self, context: &mut Context<'_, Kafka>) {
        for event in self.deferred.drain(..) {
            if let Some((caller, response)) = event.answer {
                send(caller, failed(&response), context);
            }
        }
    }

    /// A connection is gone; what was asked on it happens all the same.
    pub(super) fn forget(&mut self, connection: ConnectionId) {
        for event in &mut self.deferred {
            event
                .answer
                .take_if(|(caller, _)| caller.connection == connection);
        }
    }
}

/// `QuorumController.replay` on the active controller: brokers' records also change the soft state.
pub(super) fn replay(state: &mut ClusterState, heartbeats: &mut Heartbeats, record: &MetadataRecord) {
    match record {
        MetadataRecord::RegisterBroker { broker, fenced, .. } => {
            if state.image.broker(*broker).is_some() {
                heartbeats.remove(*broker);
            }
            heartbeats.register(*broker, *fenced);
        }
        MetadataRecord::UnregisterBroker { broker, .. } => heartbeats.remove(*broker),
        _ => {}
    }
    state.apply(record);
    if let MetadataRecord::BrokerRegistrationChange { broker, .. } = record {
        let registration = state.image.broker(*broker);
        heartbeats.register(*broker, registration.expect("it was just changed").fenced);
    }
}

pub(super) fn send(caller: Caller, response: Response, context: &mut Context<'_, Kafka>) {
    respond(caller.connection, caller.correlation, response, context);
}

/// NOT_CONTROLLER instead of an answer.
fn failed(response: &Response) -> Response {
    let error = ErrorCode::NotController;
    match response {
        Response::AllocateProducerIds(_) => Response::AllocateProducerIds(Err(error)),
        Response::CreateTopic(_) => Response::CreateTopic(error),
        Response::ElectLeaders(..) => Response::ElectLeaders(error, Vec::new()),
        Response::BrokerRegistration(_) => Response::BrokerRegistration(Err(error)),
        Response::BrokerHeartbeat(_) => Response::BrokerHeartbeat(Err(error)),
        Response::AlterPartition(_) => Response::AlterPartition(Err(error)),
        Response::AssignReplicasToDirs(_) => Response::AssignReplicasToDirs(Err(error)),
        _ => unreachable!("the controller defers no other answer"),
    }
}
