//! From the assignment that a member has to the one that the coordinator wants: `AbstractMembershipManager`'s
//! `maybeReconcile` and what follows.
//!
//! | step | waits for |
//! |---|---|
//! | nothing more of revoked partitions is handed out; what is consumed is committed, if that is automatic | the commit, well or not, at most `max.poll.interval.ms` |
//! | onPartitionsRevoked, if there are any and a listener | the application's next poll |
//! | the application applies the assignment and onPartitionsAssigned is called, if there is a listener | the application's next poll |
//! | new partitions may be fetched; a heartbeat acknowledges | |
//!
//! A newer target waits for the end. Where onPartitionsRevoked throws the reconciliation ends without having happened.
//!  That the member was fenced or has left ends it before the next step.

use super::background::Background;
use super::events::{BackgroundEvent, Purpose};
use super::membership::{LocalAssignment, MemberState};
use crate::client::Environment;
use crate::ids::PartitionId;
use crate::notes::ClientNote;

/// A reconciliation on its way, whatever it waits for.
#[derive(Debug)]
pub(super) struct Reconciliation {
    resolved: LocalAssignment,
    added: Vec<PartitionId>,
    revoked: Vec<PartitionId>,
}

impl Background {
    /// `maybeReconcile`. What revokes or commits begins with a poll of the application only (`can_commit`): at other
    /// times it may be about to hand records out.
    pub(super) fn maybe_reconcile(&mut self, can_commit: bool, environment: &mut impl Environment) {
        if self.membership.state != MemberState::Reconciling
            || self.membership.is_reconciled()
            || self.membership.reconciliation.is_some()
        {
            return;
        }
        let resolved = self.resolvable_target();
        let current = &self.membership.current;
        if current.epoch.is_some() && resolved.partitions == current.partitions {
            self.membership.current = resolved;
            return self.transition_to(MemberState::Acknowledging, environment);
        }
        let owned = self.assigned();
        let without = |these: &[PartitionId], those: &[PartitionId]| -> Vec<PartitionId> {
            let kept = these.iter().filter(|partition| !those.contains(partition));
            kept.copied().collect()
        };
        let added = without(&resolved.partitions, &owned);
        let revoked = without(&owned, &resolved.partitions);
        let commits = self.specification.member.enable_auto_commit;
        if !can_commit && (commits || !revoked.is_empty()) {
            return;
        }
        self.stop_handing_out(&revoked);
        self.membership.rejoined_meanwhile = false;
        self.membership.reconciliation = Some(Reconciliation {
            resolved,
            added,
            revoked,
        });
        self.commit_before_reconciliation(environment);
    }

    /// `findResolvableAssignmentAndTriggerMetadataUpdate`: topics that metadata do not know yet wait for them.
    fn resolvable_target(&mut self) -> LocalAssignment {
        let core = &self.core;
        let known = |partition: &PartitionId| {
            core.index_of(*partition).is_some()
                || core
                    .metadata
                    .all_partitions()
                    .any(|one| one.partition == *partition)
        };
        let target = &self.membership.target;
        let partitions: Vec<PartitionId> = target.partitions.iter().copied().filter(known).collect();
        let resolved = LocalAssignment {
            epoch: target.epoch,
            partitions,
        };
        if resolved.partitions.len() < target.partitions.len() {
            self.core.metadata.request_update(true);
        }
        resolved
    }

    /// `maybeAbortReconciliation`.
    fn abort_reconciliation(&mut self) -> bool {
        let aborts = self.membership.state != MemberState::Reconciling || self.membership.rejoined_meanwhile;
        if aborts {
            self.membership.reconciliation = None;
            self.membership.rejoined_meanwhile = false;
        }
        aborts
    }

    /// The commit before a reconciliation is over, well or not. The listener is next, if there is one and partitions to
    /// tell it of (`ConsumerMembershipManager.invokeOnPartitionsRevokedCallback`).
    pub(super) fn committed_before_reconciliation(&mut self) {
        if self.abort_reconciliation() {
            return;
        }
        let Some(reconciliation) = &self.membership.reconciliation else {
            return;
        };
        let mut revoked = reconciliation.revoked.clone();
        revoked.retain(|partition| self.core.index_of(*partition).is_some());
        self.stop_handing_out(&revoked);
        if revoked.is_empty() || !self.specification.application.has_listener() {
            return self.revoked();
        }
        let event = BackgroundEvent::Removed(Purpose::Revoke, revoked);
        self.hand_over.tell_application(event);
    }

    fn revoked(&mut self) {
        if self.abort_reconciliation() {
            return;
        }
        let Some(reconciliation) = &self.membership.reconciliation else {
            return;
        };
        let event = BackgroundEvent::Assigned {
            all: reconciliation.resolved.partitions.clone(),
            added: reconciliation.added.clone(),
        };
        self.hand_over.tell_application(event);
    }

    /// `applyAssignment`: the application has come as far as its next poll. It does so too with an assignment that was
    /// lost meanwhile: the next reconciliation takes that away again. What no listener was told of goes here.
    pub(super) fn apply_assignment(
        &mut self,
        all: &[PartitionId],
        added: &[PartitionId],
        environment: &mut impl Environment,
    ) {
        if !self.specification.application.has_listener() {
            let mut revoked = self.assigned();
            revoked.retain(|partition| !all.contains(partition));
            if !revoked.is_empty() {
                self.tell(ClientNote::Revoked(revoked.into()), environment);
            }
        }
        self.core.assign_from_subscribed(all);
        for partition in added {
            if let Some(assigned) = self.core.assigned_mut(*partition) {
                assigned.pending_listener = true;
            }
        }
        self.hand_over.assignment = all.to_vec();
        self.hand_over.applied = true;
    }

    fn assigned_listener_returned(&mut self, environment: &mut impl Environment) {
        let Some(reconciliation) = &self.membership.reconciliation else {
            return;
        };
        for partition in &reconciliation.resolved.partitions {
            if let Some(assigned) = self.core.assigned_mut(*partition) {
                assigned.pending_listener = false;
            }
        }
        if self.abort_reconciliation() {
            return;
        }
        let reconciliation = self.membership.reconciliation.take();
        self.membership.current = reconciliation.expect("it was not aborted").resolved;
        self.commits.reset_timer(environment.wall());
        self.transition_to(MemberState::Acknowledging, environment);
    }

    /// `consumerRebalanceListenerCallbackCompleted`.
    pub(super) fn listener_returned(
        &mut self,
        purpose: Purpose,
        failed: bool,
        environment: &mut impl Environment,
    ) {
        match purpose {
            // It stays RECONCILING, and the application's next poll begins anew.
            Purpose::Revoke if failed => {
                self.membership.reconciliation = None;
                self.membership.rejoined_meanwhile = false;
            }
            Purpose::Revoke => self.revoked(),
            Purpose::Assign => self.assigned_listener_returned(environment),
            Purpose::Fenced | Purpose::Stale | Purpose::Fatal => self.partitions_lost(purpose, environment),
        }
    }
}
