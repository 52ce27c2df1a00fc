//! What members tell of themselves: rebalances as their metrics count them, questions where their group stands.

use ktrial_sim::Duration;

use super::*;
use crate::ids::{LeaderEpoch, Offset, PartitionId};
use crate::notes::{ClientNote, RebalanceStep};
use crate::protocol::{CommittedOffset, ErrorCode, OffsetFetchResponse, Response};

/// The steps of rebalances since the last time: `(` begins, `)` ends, `!` fails.
fn rebalances(bench: &mut Bench) -> String {
    let steps = bench.desk.notes.iter().filter_map(|note| match note {
        ClientNote::Rebalance(RebalanceStep::Begins) => Some('('),
        ClientNote::Rebalance(RebalanceStep::Ends) => Some(')'),
        ClientNote::Rebalance(RebalanceStep::Fails) => Some('!'),
        _ => None,
    });
    let told = steps.collect();
    bench.desk.notes.clear();
    told
}

/// Questions (`?`), answers (`=` and what they are) and questions without one (`!`), with their numbers.
fn questions(bench: &Bench) -> Vec<String> {
    let told = bench.desk.notes.iter().filter_map(|note| match note {
        ClientNote::AsksForPositions(number) => Some(format!("?{number}")),
        ClientNote::AskedInVain(number) => Some(format!("!{number}")),
        ClientNote::ToldPositions {
            question, offsets, ..
        } => {
            let offsets = offsets.iter().map(|(partition, offset)| {
                let offset = offset.map_or("none".to_owned(), |offset| offset.0.to_string());
                format!("{}:{offset}", partition.0)
            });
            Some(format!("{question}={}", offsets.collect::<Vec<_>>().join(" ")))
        }
        _ => None,
    });
    told.collect()
}

fn fetch_refused(error: ErrorCode) -> (&'static str, Reply) {
    let refused = OffsetFetchResponse {
        error,
        partitions: Vec::new(),
    };
    (
        "OffsetFetch",
        Reply::Answer(Response::OffsetFetch(Box::new(refused))),
    )
}

#[test]
fn a_rebalance_lasts_from_a_new_target_to_the_return_of_the_listener() {
    let mut bench = modern("");
    bench.pass(Duration::millis(700));
    assert_eq!(rebalances(&mut bench), "()", "joining itself is none of it");
    bench.pass(Duration::secs(6));
    assert_eq!(rebalances(&mut bench), "", "nor are heartbeats");
    bench.target = vec![2, 3];
    bench.pass(Duration::secs(6));
    assert_eq!(rebalances(&mut bench), "()");
}

#[test]
fn a_member_that_joins_and_gets_nothing_has_a_rebalance_all_the_same() {
    let mut bench = modern("");
    bench.target.clear();
    bench.pass(Duration::secs(1));
    assert!(bench.consumer.is_settled());
    assert_eq!(
        rebalances(&mut bench),
        "()",
        "no assignment at all is another one than none"
    );
}

#[test]
fn every_error_that_answers_a_heartbeat_during_a_rebalance_is_a_failure_and_none_before_or_behind_it() {
    let mut bench = modern_of("", working(Duration::secs(1)));
    bench.batches = 1;
    let mut bench = bench.joined();
    let loads = || {
        let error = ErrorCode::CoordinatorLoadInProgress;
        ("ConsumerGroupHeartbeat", member_refused(error))
    };
    bench.script.push(loads());
    bench.pass(Duration::secs(6));
    assert_eq!(rebalances(&mut bench), "");
    // The application works on what it got for 40 s and gives nothing up before.
    bench.target = vec![2, 3];
    while rebalances(&mut bench).is_empty() {
        bench.pass(Duration::millis(100));
    }
    bench.script.push(loads());
    bench.script.push(loads());
    bench.pass(Duration::secs(45));
    assert_eq!(rebalances(&mut bench), "!!)");
}

#[test]
fn a_member_that_is_fenced_in_a_rebalance_begins_another_one() {
    let mut bench = modern_of("", working(Duration::millis(300)));
    bench.batches = 1;
    let mut bench = bench.joined();
    bench.target = vec![2, 3];
    while rebalances(&mut bench).is_empty() {
        bench.pass(Duration::millis(100));
    }
    let fenced = member_refused(ErrorCode::FencedMemberEpoch);
    bench.script.push(("ConsumerGroupHeartbeat", fenced));
    bench.pass(Duration::secs(25));
    assert_eq!(rebalances(&mut bench), "!()");
}

#[test]
fn a_member_asks_where_its_group_stands_until_it_goes_by_an_answer() {
    let mut bench = modern("");
    let at = CommittedOffset {
        offset: Offset(10),
        leader_epoch: Some(LeaderEpoch(1)),
    };
    bench.committed.push((PartitionId(0), at));
    bench.target = vec![0, 1];
    bench
        .script
        .push(fetch_refused(ErrorCode::CoordinatorLoadInProgress));
    bench.script.push(fetch_refused(ErrorCode::StaleMemberEpoch));
    bench.pass(Duration::secs(2));
    let told = questions(&bench);
    let number = told[0].strip_prefix('?').expect("it asks").to_owned();
    let asks = format!("?{number}");
    let answered = format!("{number}=0:10 1:none");
    assert_eq!(told, [asks.clone(), asks.clone(), asks, answered]);
}

#[test]
fn a_question_that_is_refused_for_good_is_asked_in_vain() {
    let mut bench = modern("");
    bench.script.push(fetch_refused(ErrorCode::UnknownMemberId));
    bench.pass(Duration::secs(2));
    let told = questions(&bench);
    assert!(told[0].starts_with('?') && told[1].starts_with('!'), "{told:?}");
    assert_eq!(told.len(), 2, "poll throws");
}

#[test]
fn of_two_questions_about_a_partition_the_first_answer_counts_and_what_was_given_up_is_not_told() {
    let mut bench = modern("enable.auto.commit=false");
    // With back-offs this takes until the member has given two partitions up and asks for the others only.
    for _ in 0..14 {
        bench
            .script
            .push(fetch_refused(ErrorCode::CoordinatorLoadInProgress));
    }
    bench.pass(Duration::millis(600));
    bench.target = vec![2, 3];
    bench.pass(Duration::secs(20));
    let told = questions(&bench);
    let mut asked: Vec<&String> = told.iter().filter(|one| one.starts_with('?')).collect();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 2, "{told:?}");
    let answers: Vec<&str> = told
        .iter()
        .filter_map(|one| Some(one.split_once('=')?.1))
        .collect();
    assert_eq!(answers, ["2:none 3:none", ""], "{told:?}");
}
