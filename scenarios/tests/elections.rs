//! Elections that nothing but time brings about.

mod support;

use ktrial_models::notes::{ClusterNote, Note};
use ktrial_scenarios::{Bench, Keep, Told};

/// When the partition has a leader again after its only replica has lost its disk, in whole seconds of clients' time.
fn led_again(setting: &str) -> u64 {
    let text = format!(
        "
scenario: a leader on a new disk
topics:
  orders: {{partitions: 1, replication.factor: 2, config: {{unclean.leader.election.enable: true}}}}
cluster: {{brokers: 2, controllers: 3, profile: upgraded}}
producers:
  p1: {{topic: orders, rate: 50}}
duration: 90s
heal: 400s
settings: {{controller: {{{setting}}}}}
faults:
  - {{at: 5s, let: {{A: leader of orders-0}}}}
  - {{at: 5s, kill: followers of orders-0, for: 80s}}
  - {{at: 25s, lose_disk: $A, for: 20s}}
"
    );
    let arm = support::arm(&text);
    let keep = Keep {
        story: true,
        ..Keep::default()
    };
    let trial = Bench::default().run(&arm.resolved, 1, keep);
    let told = trial.story.told();
    let started = told
        .iter()
        .find(|(_, told)| *told == Told::ClientsStart)
        .unwrap()
        .0;
    let mut after_the_loss = told.iter().filter_map(|(at, told)| {
        let at = at.since(started).as_millis() / 1_000;
        match told {
            Told::Note(.., Note::Cluster(ClusterNote::Partition { registration, .. })) if at >= 45 => {
                registration.leader.map(|_| at)
            }
            _ => None,
        }
    });
    after_the_loss.next().expect("somebody leads in the end")
}

/// The broker comes back on another disk and is unfenced before the controller knows its directory; what elects it then
/// is the controller's regular look for leaderless partitions, or another broker that comes
/// (`QuorumController.registerElectUnclean`).
#[test]
fn unclean_leader_election_interval_ms_is_how_soon_a_leader_is_looked_for_again() {
    assert!(led_again("unclean.leader.election.interval.ms: 5000") < 60);
    assert!(led_again("unclean.leader.election.interval.ms: 300000") >= 80);
}
