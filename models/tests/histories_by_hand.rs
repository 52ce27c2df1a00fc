//! Histories small enough to judge by eye, good and bad, with the verdict they deserve.

use ktrial_models::history::{Finding, History, Invariant, Outcome, Verdict, judge};
use ktrial_models::history::{Ledger, Promises, Standing, Witness, judge_with};

/// The careful settings: three replicas, two in sync, acks=all, idempotence.
const CAREFUL: &str = r#"{"schema":"ktrial.history/1","source":"kafka 4.3.1","topics":{"t":{"partitions":1,"replication.factor":3,"min.insync.replicas":"2"}},"producer":{"acks":"all"}}"#;
const ACKS_1: &str = r#"{"schema":"ktrial.history/1","source":"kafka 4.3.1","topics":{"t":{"partitions":1,"replication.factor":3}},"producer":{"acks":"1"}}"#;

/// A history from a header and events in short: `t` is the line's number, quotes are single.
fn history(header: &str, events: &[&str]) -> History {
    let mut text = format!("{header}\n");
    for (time, event) in events.iter().enumerate() {
        text += &format!("{{\"t\":{time},{}}}\n", event.replace('\'', "\""));
    }
    History::read(text.as_bytes()).expect("a history")
}

fn send(number: u32) -> String {
    format!("'op':'send','process':'p','id':'p-{number}','topic':'t','key':'k'")
}

fn ok(number: u32, offset: i64) -> String {
    format!("'op':'ok','id':'p-{number}','partition':0,'offset':{offset}")
}

/// The final read of all records: offset and number.
fn log(records: &[(u64, u32)]) -> String {
    let end = records.last().map_or(0, |(offset, _)| offset + 1);
    let start = records.first().map_or(0, |(offset, _)| *offset);
    read_to("read_uncommitted", start, end, end, records)
}

fn read_to(isolation: &str, start: u64, end: u64, reached: u64, records: &[(u64, u32)]) -> String {
    let records: Vec<String> = records
        .iter()
        .map(|(offset, number)| format!("[{offset},'p-{number}']"))
        .collect();
    format!(
        "'op':'final','topic':'t','partition':0,'isolation':'{isolation}','start':{start},'end':{end},'reached':{reached},'records':[{}]",
        records.join(",")
    )
}

fn fault(what: &str, who: &str) -> String {
    format!("'op':'fault','what':'{what}','who':'{who}'")
}

fn state(leader: i32, isr: &str) -> String {
    format!(
        "'op':'state','topic':'t','partition':0,'leader':{leader},'isr':[{isr}],'elr':[],'lastKnownElr':[]"
    )
}

fn poll(process: &str, records: &[(u64, u32)]) -> String {
    let records: Vec<String> = records
        .iter()
        .map(|(offset, number)| format!("['t',0,{offset},'p-{number}']"))
        .collect();
    format!(
        "'op':'poll','process':'{process}','records':[{}]",
        records.join(",")
    )
}

/// What the judges find of one invariant.
fn found(header: &str, events: &[String], invariant: Invariant) -> Finding {
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    judge(&history(header, &events)).finding(invariant).clone()
}

fn exposed(finding: &Finding) -> String {
    match finding.verdict() {
        Verdict::Exposed(reasons) => reasons.join("; "),
        other => panic!("expected exposed, found {other:?}: {finding:?}"),
    }
}

#[test]
fn nothing_sent_is_vacuous_never_a_pass() {
    for invariant in Invariant::ALL {
        let finding = found(CAREFUL, &[], invariant);
        assert_eq!(finding.verdict(), Verdict::Vacuous, "{invariant}");
    }
}

#[test]
fn an_acknowledged_record_that_is_read_in_the_end_is_a_pass() {
    let finding = found(
        CAREFUL,
        &[send(0), ok(0, 0), log(&[(0, 0)])],
        Invariant::LostWrite,
    );
    assert_eq!((finding.verdict(), finding.exercised), (Verdict::Pass, 1));
}

#[test]
fn a_lost_record_without_any_fault_is_broken() {
    let events = [send(0), ok(0, 0), send(1), ok(1, 1), log(&[(0, 0)])];
    let finding = found(CAREFUL, &events, Invariant::LostWrite);
    assert_eq!((finding.verdict(), finding.violations), (Verdict::Broken, 1));
}

#[test]
fn with_acks_1_a_loss_is_exposed_across_a_change_of_leader_and_broken_without_one() {
    let with = |second: i32| {
        let events = [state(1, "1,2"), send(0), ok(0, 0), state(second, "2"), log(&[])];
        found(ACKS_1, &events, Invariant::LostWrite)
    };
    assert!(exposed(&with(2)).contains("acks=1"));
    assert_eq!(with(1).verdict(), Verdict::Broken);
}

#[test]
fn with_acks_0_a_loss_is_always_exposed() {
    let header = ACKS_1.replace(r#""acks":"1""#, r#""acks":"0""#);
    let finding = found(&header, &[send(0), ok(0, -1), log(&[])], Invariant::LostWrite);
    assert!(exposed(&finding).contains("acks=0"));
}

#[test]
fn what_retention_took_is_not_lost_and_what_nobody_read_is_not_known() {
    let expired = [send(0), ok(0, 0), send(1), ok(1, 1), log(&[(1, 1)])];
    let finding = found(CAREFUL, &expired, Invariant::LostWrite);
    assert_eq!((finding.verdict(), finding.undecided), (Verdict::Pass, 1));
    let unread = [send(0), ok(0, 7), read_to("read_uncommitted", 0, 9, 5, &[])];
    let finding = found(CAREFUL, &unread, Invariant::LostWrite);
    assert_eq!((finding.verdict(), finding.undecided), (Verdict::Vacuous, 1));
    let finding = found(CAREFUL, &unread, Invariant::FinalUnreadable);
    assert_eq!((finding.verdict(), finding.violations), (Verdict::Broken, 1));
}

#[test]
fn a_record_that_compaction_replaced_by_a_later_one_of_its_key_is_not_lost() {
    let compacted = CAREFUL.replace(
        r#""partitions":1"#,
        r#""partitions":1,"cleanup.policy":"compact""#,
    );
    let events = [
        send(0),
        ok(0, 0),
        send(1),
        ok(1, 1),
        read_to("read_uncommitted", 0, 2, 2, &[(1, 1)]),
    ];
    assert_eq!(found(&compacted, &events, Invariant::LostWrite).violations, 0);
    assert_eq!(found(CAREFUL, &events, Invariant::LostWrite).violations, 1);
}

#[test]
fn one_power_loss_is_covered_by_two_in_sync_replicas_and_two_at_once_are_not() {
    let with = |faults: &[String]| {
        let mut events = vec![state(1, "1,2,3"), send(0), ok(0, 0)];
        events.extend_from_slice(faults);
        events.push(log(&[]));
        found(CAREFUL, &events, Invariant::LostWrite)
    };
    let one = [
        fault("power_off", "b1"),
        state(2, "2,3"),
        fault("start", "b1"),
        state(2, "1,2,3"),
    ];
    assert_eq!(with(&one).verdict(), Verdict::Broken);
    let mut in_turn = one.to_vec();
    in_turn.extend([
        fault("power_off", "b2"),
        state(1, "1,3"),
        fault("start", "b2"),
        state(1, "1,2,3"),
    ]);
    assert_eq!(with(&in_turn).verdict(), Verdict::Broken);
    let both = [fault("power_off", "b1"), fault("power_off", "b2"), state(3, "3")];
    assert!(exposed(&with(&both)).contains("b1, b2 lost power"));
}

#[test]
fn a_power_loss_takes_nothing_that_was_flushed() {
    let flushed = CAREFUL.replace(r#""partitions":1"#, r#""partitions":1,"flush.messages":"1""#);
    let events = [
        send(0),
        ok(0, 0),
        fault("power_off", "b1"),
        fault("power_off", "b2"),
        fault("power_off", "b3"),
        log(&[]),
    ];
    assert_eq!(
        found(&flushed, &events, Invariant::LostWrite).verdict(),
        Verdict::Broken
    );
    assert!(exposed(&found(CAREFUL, &events, Invariant::LostWrite)).contains("3 of 3 replicas"));
}

#[test]
fn a_replica_that_lost_its_disk_and_is_elected_before_it_copied_anything_releases_the_promise() {
    let events = [
        state(1, "1,2,3"),
        send(0),
        ok(0, 0),
        fault("kill", "b2"),
        fault("kill", "b3"),
        fault("lose_disk", "b1"),
        state(-1, ""),
        fault("start", "b1"),
        state(1, "1"),
        log(&[]),
    ];
    assert!(exposed(&found(CAREFUL, &events, Invariant::LostWrite)).contains("last known leader"));
    let without_elr = CAREFUL.replace(
        r#""source""#,
        r#""features":{"eligible.leader.replicas.version":0},"source""#,
    );
    assert_eq!(
        found(&without_elr, &events, Invariant::LostWrite).verdict(),
        Verdict::Broken
    );
    let mut alone = events.clone();
    alone[4] = state(1, "1");
    let finding = found(&without_elr, &alone, Invariant::LostWrite);
    assert!(exposed(&finding).contains("whole ISR (no ELR)"));
}

#[test]
fn the_lost_disk_of_a_controller_and_an_unclean_election_release_the_promise() {
    let events = [send(0), ok(0, 0), fault("lose_disk", "c2"), log(&[])];
    assert!(exposed(&found(CAREFUL, &events, Invariant::LostWrite)).contains("controllers c2"));
    let known = CAREFUL.replace(r#""source""#, r#""features":{"kraft.version":"1"},"source""#);
    let mut three = vec![fault("start", "c1"), fault("start", "c2"), fault("start", "c3")];
    three.extend_from_slice(&events);
    assert_eq!(
        found(&known, &three, Invariant::LostWrite).verdict(),
        Verdict::Broken
    );
    three.insert(3, fault("lose_disk", "c1"));
    assert!(exposed(&found(&known, &three, Invariant::LostWrite)).contains("controllers c1, c2"));
    let unclean = CAREFUL.replace(
        r#""partitions":1"#,
        r#""partitions":1,"unclean.leader.election.enable":"true""#,
    );
    let finding = found(&unclean, &[send(0), ok(0, 0), log(&[])], Invariant::LostWrite);
    assert_eq!(exposed(&finding), "unclean.leader.election.enable=true");
}

#[test]
fn in_combined_mode_a_lost_broker_disk_is_a_lost_controller_disk() {
    let with = |controller: &str| {
        let events = [
            fault("start", "b1"),
            fault("start", controller),
            state(2, "1,2,3"),
            send(0),
            ok(0, 0),
            fault("lose_disk", "b1"),
            log(&[]),
        ];
        found(CAREFUL, &events, Invariant::LostWrite)
    };
    assert!(exposed(&with("b2")).contains("controllers b1"));
    assert_eq!(with("c1").verdict(), Verdict::Broken);
}

#[test]
fn with_acks_1_a_leader_that_stays_may_lose_what_it_had_not_flushed() {
    let events = [
        state(1, "1,2"),
        send(0),
        ok(0, 0),
        fault("power_off", "b2"),
        log(&[]),
    ];
    assert!(exposed(&found(ACKS_1, &events, Invariant::LostWrite)).contains("acks=1"));
}

#[test]
fn a_fault_that_the_judge_does_not_know_is_never_called_broken() {
    let events = [send(0), ok(0, 0), fault("corrupt", "b1"), log(&[])];
    assert!(exposed(&found(CAREFUL, &events, Invariant::LostWrite)).contains("corrupt"));
}

#[test]
fn a_failed_write_that_is_read_is_broken_and_an_unknown_one_is_only_told() {
    let refused = |outcome: &str| {
        let error = format!("'op':'error','id':'p-0','error':'NOT_ENOUGH_REPLICAS'{outcome}");
        [send(0), error, log(&[(0, 0)])]
    };
    let unknown = refused("");
    assert_eq!(
        found(CAREFUL, &unknown, Invariant::FailedWriteVisible).verdict(),
        Verdict::Vacuous
    );
    assert_eq!(
        found(CAREFUL, &unknown, Invariant::ErrorButInTheLog).violations,
        1
    );
    let failed = refused(",'outcome':'failed'");
    assert_eq!(
        found(CAREFUL, &failed, Invariant::FailedWriteVisible).verdict(),
        Verdict::Broken
    );
    let once = CAREFUL.replace(r#""acks":"all""#, r#""acks":"all","retries":"0""#);
    assert_eq!(
        found(&once, &unknown, Invariant::FailedWriteVisible).verdict(),
        Verdict::Broken
    );
}

#[test]
fn a_duplicate_is_broken_with_idempotence_and_exposed_without_or_after_a_failed_batch() {
    let twice = [send(0), ok(0, 0), log(&[(0, 0), (1, 0)])];
    assert_eq!(
        found(CAREFUL, &twice, Invariant::Duplicate).verdict(),
        Verdict::Broken
    );
    assert!(exposed(&found(ACKS_1, &twice, Invariant::Duplicate)).contains("idempotence"));
    let failed = "'op':'error','id':'p-1','error':'REQUEST_TIMED_OUT'".to_owned();
    let bumped = [send(0), send(1), failed, ok(0, 0), log(&[(0, 0), (1, 0)])];
    assert!(exposed(&found(CAREFUL, &bumped, Invariant::Duplicate)).contains("REQUEST_TIMED_OUT"));
}

#[test]
fn records_out_of_the_order_of_their_sends_are_broken_where_nothing_can_overtake() {
    let swapped = [send(0), send(1), ok(1, 0), ok(0, 1), log(&[(0, 1), (1, 0)])];
    assert_eq!(
        found(CAREFUL, &swapped, Invariant::NonmonotonicSend).verdict(),
        Verdict::Broken
    );
    assert!(exposed(&found(ACKS_1, &swapped, Invariant::NonmonotonicSend)).contains("overtake"));
    let one_in_flight = ACKS_1.replace(
        r#""acks":"1""#,
        r#""acks":"1","max.in.flight.requests.per.connection":"1""#,
    );
    let mut led = vec![state(1, "1")];
    led.extend_from_slice(&swapped);
    assert_eq!(
        found(&one_in_flight, &led, Invariant::NonmonotonicSend).verdict(),
        Verdict::Broken
    );
    // A request whose connection broke may be appended after its own retry and what followed it.
    let late = [
        state(1, "1"),
        send(0),
        ok(0, 0),
        send(1),
        ok(1, 1),
        log(&[(0, 0), (1, 1), (2, 0)]),
    ];
    assert!(exposed(&found(&one_in_flight, &late, Invariant::NonmonotonicSend)).contains("overtake"));
}

#[test]
fn an_offset_with_two_records_is_broken_when_both_were_read() {
    let events = [send(0), send(1), poll("c", &[(0, 0)]), log(&[(0, 1)])];
    let finding = found(CAREFUL, &events, Invariant::InconsistentOffset);
    assert_eq!((finding.verdict(), finding.violations), (Verdict::Broken, 1));
    assert_eq!(
        found(CAREFUL, &events, Invariant::ReadThenGone).verdict(),
        Verdict::Broken
    );
    // What was read was committed, and stays so whatever the producer waited for.
    let mut moved = vec![state(1, "1"), state(2, "2")];
    moved.extend_from_slice(&events);
    assert_eq!(
        found(ACKS_1, &moved, Invariant::InconsistentOffset).verdict(),
        Verdict::Broken
    );
    // An acknowledgement that nobody read is promised by acks=all only.
    let acknowledged = [
        state(1, "1"),
        send(0),
        send(1),
        ok(0, 0),
        state(2, "2"),
        log(&[(0, 1)]),
    ];
    assert!(exposed(&found(ACKS_1, &acknowledged, Invariant::InconsistentOffset)).contains("acks=1"));
}

#[test]
fn a_consumer_that_goes_back_or_leaves_out_is_broken_within_a_session_only() {
    let log = log(&[(0, 0), (1, 1), (2, 2)]);
    let sends = [send(0), send(1), send(2)];
    let with = |polls: &[String], invariant| {
        let mut events = sends.to_vec();
        events.extend_from_slice(polls);
        events.push(log.clone());
        found(CAREFUL, &events, invariant)
    };
    let back = [poll("c", &[(0, 0), (1, 1)]), poll("c", &[(1, 1)])];
    assert_eq!(
        with(&back, Invariant::NonmonotonicPoll).verdict(),
        Verdict::Broken
    );
    assert!(exposed(&with(&back, Invariant::ReadTwice)).contains("at least once"));
    let skip = [poll("c", &[(0, 0)]), poll("c", &[(2, 2)])];
    let finding = with(&skip, Invariant::PollSkip);
    assert_eq!((finding.verdict(), finding.violations), (Verdict::Broken, 1));
    let rebalance = "'op':'assigned','process':'c','partitions':[['t',0]]".to_owned();
    let again = [back[0].clone(), rebalance.clone(), back[1].clone()];
    assert_eq!(with(&again, Invariant::NonmonotonicPoll).violations, 0);
    let moved = [skip[0].clone(), rebalance, skip[1].clone()];
    assert_eq!(with(&moved, Invariant::PollSkip).violations, 0);
}

#[test]
fn two_readers_without_a_group_may_both_read_and_two_of_a_group_read_twice() {
    let polls = [poll("c1", &[(0, 0)]), poll("c2", &[(0, 0)])];
    let apart = [send(0), polls[0].clone(), polls[1].clone()];
    assert_eq!(found(CAREFUL, &apart, Invariant::ReadTwice).violations, 0);
    let start = |process: &str| format!("'op':'start','process':'{process}','group':'g'");
    let together = [
        start("c1"),
        start("c2"),
        send(0),
        polls[0].clone(),
        polls[1].clone(),
    ];
    assert_eq!(found(CAREFUL, &together, Invariant::ReadTwice).violations, 1);
}

#[test]
fn a_send_without_an_outcome_is_broken_once_its_client_ended_and_excused_if_it_died() {
    let with = |end: &str| found(CAREFUL, &[send(0), end.to_owned()], Invariant::SendResolves);
    assert_eq!(with("'op':'end','process':'p'").verdict(), Verdict::Broken);
    assert!(exposed(&with("'op':'end','process':'q'")).contains("delivery.timeout.ms"));
    let died = with("'op':'died','process':'p','error':'KafkaException'");
    assert_eq!((died.violations, died.undecided), (0, 1));
}

#[test]
fn a_transaction_is_whole_or_not_there_at_all() {
    let with = |fate: &str, shown: &[(u64, u32)]| {
        let events = [
            "'op':'begin','process':'p','txn':'p-t0'".to_owned(),
            send(0),
            send(1),
            ok(0, 0),
            ok(1, 1),
            format!("'op':'{fate}','txn':'p-t0'"),
            log(&[(0, 0), (1, 1)]),
            read_to("read_committed", 0, 3, 3, shown),
        ];
        let finding = |invariant| found(CAREFUL, &events, invariant).verdict();
        (
            finding(Invariant::TornTransaction),
            finding(Invariant::AbortedRead),
        )
    };
    assert_eq!(
        with("committed", &[(0, 0), (1, 1)]),
        (Verdict::Pass, Verdict::Vacuous)
    );
    assert_eq!(with("committed", &[(0, 0)]), (Verdict::Broken, Verdict::Vacuous));
    assert_eq!(with("aborted", &[]), (Verdict::Pass, Verdict::Pass));
    assert_eq!(with("aborted", &[(1, 1)]), (Verdict::Broken, Verdict::Broken));
}

#[test]
fn a_send_after_the_end_of_a_transaction_is_outside_of_it() {
    let events = [
        "'op':'begin','process':'p','txn':'p-t0'".to_owned(),
        send(0),
        ok(0, 0),
        "'op':'aborted','txn':'p-t0'".to_owned(),
        send(1),
        ok(1, 1),
        log(&[]),
    ];
    let finding = found(CAREFUL, &events, Invariant::LostWrite);
    assert_eq!((finding.verdict(), finding.violations), (Verdict::Broken, 1));
}

#[test]
fn an_input_that_the_committed_offsets_passed_has_one_output() {
    let header = CAREFUL.replace(
        r#""producer""#,
        r#""consumer":{"isolation.level":"read_committed"},"producer""#,
    );
    let with = |up_to: u32, outputs: &str| {
        let output = "'op':'send','process':'x','id':'x-t0:p-0','topic':'out'";
        let outputs = format!(
            "'op':'final','topic':'out','partition':0,'isolation':'read_committed','start':0,'end':3,'reached':3,'records':[{outputs}]"
        );
        let events = [
            send(0),
            ok(0, 0),
            "'op':'begin','process':'x','txn':'x-t0'".to_owned(),
            output.to_owned(),
            format!("'op':'committed','txn':'x-t0','offsets':[['t',0,{up_to}]]"),
            log(&[(0, 0)]),
            read_to("read_committed", 0, 1, 1, &[(0, 0)]),
            outputs,
        ];
        let missing = found(&header, &events, Invariant::InputWithoutOutput);
        (
            missing.verdict(),
            found(&header, &events, Invariant::InputCountedTwice).verdict(),
        )
    };
    assert_eq!(with(1, "[0,'x-t0:p-0']"), (Verdict::Pass, Verdict::Pass));
    assert_eq!(with(1, ""), (Verdict::Broken, Verdict::Pass));
    assert_eq!(with(0, ""), (Verdict::Vacuous, Verdict::Pass));
    assert_eq!(
        with(1, "[0,'x-t0:p-0'],[1,'x-t1:p-0']"),
        (Verdict::Pass, Verdict::Broken)
    );
}

/// Promises everything, or nothing.
struct Always(bool);

impl Promises for Always {
    fn standing(&self, _: Invariant, _: &Witness) -> Standing<'_> {
        if self.0 {
            Standing::Promised
        } else {
            Standing::Released("nothing is promised here")
        }
    }
}

#[test]
fn somebody_else_may_judge_the_promises_and_the_counts_stay() {
    let events = [send(0), ok(0, 0), log(&[])];
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let history = history(CAREFUL, &events);
    let ledger = Ledger::new(&history);
    assert_eq!(ledger.entries[0].outcome, Outcome::Acknowledged);
    for (promised, verdict) in [
        (true, Verdict::Broken),
        (
            false,
            Verdict::Exposed(vec!["nothing is promised here".to_owned()]),
        ),
    ] {
        let report = judge_with(&ledger, &Always(promised));
        let finding = report.finding(Invariant::LostWrite);
        assert_eq!((finding.verdict(), finding.violations), (verdict, 1));
    }
}

#[test]
fn thousands_of_violations_are_all_counted_and_32_of_them_witnessed_in_order() {
    let mut events: Vec<String> = Vec::new();
    for number in 0..1_000 {
        events.extend([send(number), ok(number, i64::from(number))]);
    }
    events.push(log(&[]));
    let finding = found(CAREFUL, &events, Invariant::LostWrite);
    assert_eq!(
        (finding.violations, finding.witnesses.len()),
        (1_000, Finding::WITNESSES)
    );
    assert!(finding.witnesses.is_sorted_by_key(|witness| witness.offset));
}
