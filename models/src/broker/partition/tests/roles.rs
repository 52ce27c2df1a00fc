use super::*;

#[test]
fn metadata_older_than_what_is_known_is_ignored_and_the_same_is_applied_again() {
    let mut host = Host::new(1);
    assert!(host.lead(2, 5, &[1]).is_some());
    assert_eq!(host.lead(2, 4, &[1, 2]), None);
    assert_eq!(host.follow(2, 3, 4), None);
    assert_eq!(host.partition.isr(), &servers(&[1]));
    assert!(host.lead(2, 5, &[1, 2]).is_some());
    assert_eq!(host.partition.isr(), &servers(&[1, 2]));
}

#[test]
fn a_new_leader_knows_its_epoch_before_it_appends_anything() {
    let mut host = Host::new(1).leading(&[1]);
    host.append(2, Acks::Leader).unwrap();
    host.lead(4, 2, &[1]);
    assert_eq!(host.partition.leader_epoch_start(), Some(Offset(2)));
    assert_eq!(host.partition.log().latest_epoch(), Some(LeaderEpoch(4)));
    let mut mutant = Host::mutant(1, Mutation::ForgetEpochStart).leading(&[1]);
    assert_eq!(mutant.partition.log().latest_epoch(), None);
    mutant.append(1, Acks::Leader).unwrap();
    assert_eq!(mutant.partition.log().latest_epoch(), Some(LeaderEpoch(1)));
}

#[test]
fn a_change_within_the_leader_epoch_keeps_what_is_known_of_followers() {
    let mut host = Host::new(1).leading(&[1, 2]);
    host.append(1, Acks::Leader).unwrap();
    host.fetch(TWO, 1);
    let change = host.lead(1, 2, &[1, 2, 3]).unwrap();
    assert!(!change.is_new && !change.new_leader_epoch);
    assert_eq!(host.partition.remotes()[0].log_end, Some(Offset(1)));
    assert_eq!(host.partition.leader_epoch_start(), Some(Offset(0)));
}

#[test]
fn a_leader_elected_again_keeps_log_ends_and_one_that_followed_forgets_them() {
    let mut host = Host::new(1).leading(&[1, 2]);
    host.fetch(TWO, 0);
    host.lead(2, 2, &[1, 2]);
    assert_eq!(host.partition.remotes()[0].log_end, Some(Offset(0)));
    host.follow(2, 3, 3);
    assert!(host.partition.remotes().is_empty() && host.partition.isr().is_empty());
    host.lead(4, 4, &[1, 2]);
    assert_eq!(host.partition.remotes()[0].log_end, None);
}

#[test]
fn a_new_leader_gives_isr_members_the_benefit_of_the_doubt_and_others_none() {
    let host = Host::new(1).leading(&[1, 2]);
    let now = host.bench.now;
    let [two, three] = host.partition.remotes() else {
        panic!("two other replicas");
    };
    assert_eq!(
        (two.last_caught_up_time, three.last_caught_up_time),
        (Some(now), None)
    );
}

#[test]
fn what_an_old_fetch_brings_is_lost_if_the_leader_followed_in_between() {
    let mut host = Host::new(1).leading(&[1, 2]);
    let (old, _) = host.read_both(TWO, &request(Some(LeaderEpoch(1)), 0)).unwrap();
    host.follow(2, 2, 2);
    host.lead(3, 3, &[1, 2]);
    let changed = host
        .partition
        .update_follower_fetch_state(&old, &host.view, &mut host.bench);
    assert_eq!(changed, Ok(false));
    assert_eq!(host.partition.remotes()[0].log_end, None);
}

#[test]
fn an_unclean_leader_calls_itself_recovered_in_its_next_proposal() {
    let mut host = Host::new(1);
    let mut unclean = registration(1, 1, 1, &[1]);
    unclean.recovery = LeaderRecoveryState::Recovering;
    host.partition
        .make_leader(&unclean, &host.view, &mut host.bench)
        .unwrap();
    let proposal = host.fetch(TWO, 0).expect("it has caught up");
    assert_eq!(proposal.recovery, LeaderRecoveryState::Recovered);
}

#[test]
fn leading_and_following_are_told_once_for_each_leader_epoch() {
    let mut host = Host::new(1).leading(&[1]);
    host.lead(1, 2, &[1, 2]);
    host.follow(2, 2, 3);
    host.follow(2, 2, 4);
    let told = host.bench.notes.iter().filter_map(|note| match note {
        Note::Leader(_, LeaderNote::Leads { epoch, .. }) => Some((true, epoch.0)),
        Note::Leader(_, LeaderNote::Follows { epoch, .. }) => Some((false, epoch.0)),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [(true, 1), (false, 2)]);
}

#[test]
fn a_failing_disk_does_not_let_a_broker_lead_a_new_epoch() {
    let mut host = Host::new(1);
    host.bench.disk.health.refuses = Some(ktrial_sim::DiskError::Failing);
    let registration = registration(1, 1, 1, &[1]);
    let refused = host
        .partition
        .make_leader(&registration, &host.view, &mut host.bench);
    assert!(refused.is_err());
    assert!(!host.partition.is_leader() && host.partition.log().is_offline());
}
