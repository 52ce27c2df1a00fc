//! One fault of each kind on each role in each phase of its life: the cluster heals, and nothing Kafka promises breaks.

use std::path::Path;
use std::sync::Arc;

use ktrial_models::invariants::Verdict;
use ktrial_scenarios::PhaseName::{self, CatchingUp, Recovering, Running, ShuttingDown, Starting};
use ktrial_scenarios::{
    Action, Bench, Ending, FaultPlan, Happening, Keep, Length, Overrides, PartitionName, Resolved, Role,
    Scenario, Script, ScriptEntry, Trigger, Unflushed, Way,
};
use ktrial_sim::Duration;

const CLUSTER: &str = "
scenario: every-fault
topics:
  orders: {partitions: 1, replication.factor: 3, config: {min.insync.replicas: 2}}
producers:
  p1: {topic: orders, rate: 20}
readers:
  r1: {topics: [orders]}
duration: 25s
";

fn resolved() -> Resolved {
    let scenario = Scenario::read("every-fault.yaml", CLUSTER, Path::new("."), &Overrides::default())
        .expect("it is good");
    Resolved::clone(&scenario.arm(&[]).expect("it resolves").resolved)
}

fn everything_but(who: &Role) -> Role {
    Role::Except(Box::new(Role::Everything), Box::new(who.clone()))
}

/// Every kind of fault, on this role.
fn faults(who: &Role) -> Vec<Action> {
    let (who, rest) = (who.clone(), everything_but(who));
    let cut = |way| Action::Cut {
        who: who.clone(),
        from: rest.clone(),
        way,
    };
    vec![
        Action::Kill(who.clone()),
        Action::PowerOff {
            who: who.clone(),
            unflushed: Unflushed::Drawn,
        },
        Action::PowerOff {
            who: who.clone(),
            unflushed: Unflushed::Lost,
        },
        Action::LoseDisk(who.clone()),
        Action::Stop(who.clone()),
        Action::Pause(who.clone()),
        cut(Way::Both),
        cut(Way::Out),
        cut(Way::In),
        Action::Reset {
            who: who.clone(),
            from: rest.clone(),
        },
        Action::Slow {
            who: who.clone(),
            from: rest.clone(),
            way: Way::Both,
            latency: Length(Duration::millis(300)),
        },
        Action::Skew {
            who: who.clone(),
            by_ms: 90_000,
        },
        Action::Skew {
            who: who.clone(),
            by_ms: -90_000,
        },
        Action::Drift {
            who: who.clone(),
            by_ppm: 200_000,
        },
        Action::SlowDisk {
            who: who.clone(),
            times: 100,
        },
        Action::FillDisk(who.clone()),
        Action::FailDisk(who.clone()),
        Action::Hold {
            kinds: vec!["Produce".into(), "Fetch".into(), "FetchQuorum".into()],
            from: Some(who),
            to: None,
        },
    ]
}

/// The name by which a script knows whom `who` meant at its start: later the role may have gone to somebody else.
const CHOSEN: &str = "chosen";

/// A script that brings `who` into `phase` and does `action` to it there, for three seconds. `who` and `action` mean
/// whom the role means at the start.
fn in_phase(role: &Role, who: &Role, phase: PhaseName, action: Action) -> Script {
    let at = |millis| Trigger::At(Length(Duration::millis(millis)));
    let lasting = Some(Length(Duration::secs(3)));
    let mut entries = vec![ScriptEntry {
        trigger: at(999),
        action: Action::Bind {
            name: CHOSEN.into(),
            who: role.clone(),
        },
        lasting: None,
    }];
    let trigger = match phase {
        PhaseName::Running => at(2_000),
        _ => {
            let before = match phase {
                PhaseName::ShuttingDown => Action::Stop(who.clone()),
                _ => Action::Kill(who.clone()),
            };
            entries.push(ScriptEntry {
                trigger: at(1_000),
                action: before,
                lasting: Some(Length(Duration::secs(1))),
            });
            let happening = Happening::PhaseOf(who.clone(), phase);
            Trigger::On {
                happening,
                nth: 1,
                after: Length(Duration::ZERO),
            }
        }
    };
    entries.push(ScriptEntry {
        trigger,
        action,
        lasting,
    });
    Script { entries }
}

fn heals(role: &str, phases: &[PhaseName]) {
    let role = Role::parse(role).expect("a role");
    let who = Role::Bound(CHOSEN.into());
    let base = resolved();
    let mut bench = Bench::default();
    let mut wrong = Vec::new();
    for phase in phases {
        for (number, action) in faults(&who).into_iter().enumerate() {
            let name = format!("{} (fault {number}) on {role}, {phase:?}", action.name());
            let script = in_phase(&role, &who, *phase, action);
            let last = script.entries.len() - 1;
            let resolved = Arc::new(Resolved {
                faults: FaultPlan::Explicit(Arc::new(script)),
                ..base.clone()
            });
            let trial = bench.run(&resolved, 1 + number as u64, Keep::default()).trial;
            if !trial
                .fired
                .iter()
                .any(|fired| fired.entry == last && !fired.nodes.is_empty())
            {
                wrong.push(format!("{name}: did not happen"));
            }
            if trial.ending != Ending::Converged {
                wrong.push(format!("{name}: {:?} {:?}", trial.ending, trial.pending));
            }
            for finding in trial
                .findings
                .iter()
                .filter(|finding| finding.verdict == Verdict::Broken)
            {
                wrong.push(format!(
                    "{name}: BROKEN {}: {}",
                    finding.invariant, finding.detail
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const OF_A_BROKER: [PhaseName; 5] = [Starting, CatchingUp, Recovering, Running, ShuttingDown];
/// Controllers recover nothing of their own.
const OF_A_CONTROLLER: [PhaseName; 4] = [Starting, CatchingUp, Running, ShuttingDown];
/// Clients catch up with nothing.
const OF_A_CLIENT: [PhaseName; 3] = [Starting, Running, ShuttingDown];

#[test]
fn a_broker_survives_every_fault_in_every_phase() {
    heals("b1", &OF_A_BROKER);
}

#[test]
fn the_partitions_leader_survives_every_fault_in_every_phase() {
    let leader = Role::LeaderOf(PartitionName {
        topic: "orders".into(),
        index: 0,
    });
    heals(&leader.to_string(), &OF_A_BROKER);
}

#[test]
fn a_standby_controller_survives_every_fault_in_every_phase() {
    heals("a standby controller", &OF_A_CONTROLLER);
}

#[test]
fn the_active_controller_survives_every_fault_in_every_phase() {
    heals("active controller", &OF_A_CONTROLLER);
}

#[test]
fn a_producer_survives_every_fault_in_every_phase() {
    heals("p1", &OF_A_CLIENT);
}

#[test]
fn a_reader_survives_every_fault_in_every_phase() {
    heals("r1", &OF_A_CLIENT);
}
