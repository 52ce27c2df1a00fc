//! What people say about Kafka, put on trial: each scenario of `library/claims` shows in its trials what it says, and
//! its counter-arm, one setting or one fault apart, shows what it says.
//!
//! Here each arm has 100 seeds. With a thousand:
//!
//! ```text
//! KTRIAL_CLAIM_SEEDS=1000 cargo test --package ktrial-scenarios --test claims
//! ```

use ktrial_scenarios::{Arm, ArmVerdict, LIBRARY, OnTrial, Overrides, Scenario, Shows, Source};

/// How many seeds each arm has, from seed 0.
fn seeds() -> u64 {
    let given = std::env::var("KTRIAL_CLAIM_SEEDS").ok();
    given.map_or(100, |text| text.parse().expect("KTRIAL_CLAIM_SEEDS is a number"))
}

fn claim(id: &str) -> Scenario {
    let source = Source::parse(&format!("@claims/{id}")).unwrap();
    source
        .read(&Overrides::default())
        .unwrap_or_else(|errors| panic!("{id}: {errors:?}"))
}

/// One arm and what it is to show.
struct Shown {
    name: &'static str,
    arm: Arm,
    shows: Vec<Shows>,
}

impl Shown {
    /// What these trials show instead.
    fn differences(&self, first: u64, count: u64) -> Vec<String> {
        assert!(self.arm.refusals().is_empty(), "{:?}", self.arm.refusals());
        let on_trial = OnTrial::run(&self.arm.resolved, first..first + count);
        // Of several endings or deliveries one trial has one.
        let shown_by_one = |shown: &Shows| shown.is_alternative() && shown.check(&on_trial).is_ok();
        let has_one = count == 1 && self.shows.iter().any(shown_by_one);
        let asked = self
            .shows
            .iter()
            .filter(|shown| !has_one || !shown.is_alternative());
        let wrong = asked.filter_map(|shown| shown.check(&on_trial).err());
        let mut wrong: Vec<String> = wrong.map(|wrong| format!("{}: {wrong}", self.name)).collect();
        if on_trial.summary.verdict() == ArmVerdict::Broken {
            wrong.push(format!(
                "{}: something that Kafka promises broke: {:?}",
                self.name, on_trial.summary.violations
            ));
        }
        wrong
    }
}

fn arms(scenario: &Scenario) -> [Shown; 2] {
    let counter = scenario.counter.as_ref().expect("claims have counter-arms");
    assert!(!scenario.shows.is_empty() && !counter.shows.is_empty());
    [
        Shown {
            name: "claim",
            arm: scenario.arm(&[]).unwrap(),
            shows: scenario.shows.clone(),
        },
        Shown {
            name: "counter-arm",
            arm: scenario.counter_arm().unwrap().unwrap(),
            shows: counter.shows.clone(),
        },
    ]
}

/// Both arms show over all seeds what the scenario says, and so does the stated seed alone.
fn is_shown(id: &str) {
    let scenario = claim(id);
    let arms = arms(&scenario);
    let over_all: Vec<String> = arms.iter().flat_map(|arm| arm.differences(0, seeds())).collect();
    assert!(over_all.is_empty(), "{id}: {over_all:#?}");
    let shows_it = |seed| arms.iter().all(|arm| arm.differences(seed, 1).is_empty());
    let stated = scenario.claim.as_ref().expect("it is a claim").seed;
    if !shows_it(stated) {
        let does = (0..seeds()).find(|seed| shows_it(*seed));
        panic!("{id}: seed {stated} does not show it; the first that does: {does:?}");
    }
}

/// What is wrong with a scenario that has this counter-arm.
fn refused(counter: &str) -> String {
    let text = format!(
        "scenario: x\ntopics: {{orders: {{}}}}\nproducers: {{p1: {{topic: orders}}}}\nduration: 10s\n\
         consumers: {{bill: {{group: billing, topics: [orders]}}}}\n\
         faults: [{{at: 3s, kill: b1}}, {{at: 5s, kill: b2}}]\nshows: [holds]\ncounter: {counter}\n"
    );
    match Scenario::read("x.yaml", &text, std::path::Path::new("."), &Overrides::default()) {
        Ok(_) => String::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_counter_arm_is_one_setting_or_one_fault_away() {
    for right in [
        "{set: acks=1, shows: [DUR-2]}",
        "{faults: [{at: 3s, kill: b1}], shows: [DUR-2]}",
        "{faults: [{at: 3s, kill: b1}, {at: 5s, pause: b2}], shows: [no ORD-1, latency p99 > 1s]}",
        "{consumers: {commit: before}, shows: [lost > 0 in at least one trial]}",
    ] {
        assert_eq!(refused(right), "", "{right}");
    }
    for (wrong, why) in [
        ("{shows: [DUR-2]}", "differs in 0 settings and faults"),
        (
            "{set: acks=1, faults: [{at: 3s, kill: b1}], shows: [DUR-2]}",
            "differs in 2",
        ),
        (
            "{faults: [{at: 4s, kill: b1}, {at: 6s, kill: b2}], shows: [DUR-2]}",
            "differs in 2",
        ),
        ("{set: ack=1, shows: [DUR-2]}", "ack"),
        (
            "{set: acks=1, shows: [loss]}",
            "`loss` is nothing an arm can show",
        ),
        (
            "{faults: [{at: 3s, kill: b9}, {at: 5s, kill: b2}], shows: [DUR-2]}",
            "no node b9",
        ),
    ] {
        assert!(refused(wrong).contains(why), "{wrong}: {}", refused(wrong));
    }
}

macro_rules! claims {
    ($($id:ident)*) => {
        $(#[test]
        #[allow(non_snake_case)]
        fn $id() {
            is_shown(stringify!($id));
        })*

        #[test]
        fn every_claim_of_the_library_is_put_on_trial() {
            let tested = [$(stringify!($id)),*];
            let known = LIBRARY.iter().filter_map(|(name, _)| name.strip_prefix("claims/"));
            assert_eq!(known.collect::<Vec<_>>(), tested);
        }
    };
}

claims! {
    C010 C010_spare C016 C033 C035 C040 C041 C044 C046 C050 C056 C057 C063 C064 C068 C068_first C070_identity C087 C089 C094
    C098 C099 C100 C101 C102 C103 C104 C105 C106 C107 C108 C109 C110 C111 C111_pause C112 C113 C114 C115 C116
    C117 C119 C119_cooperative C120 C120_twice C121 C122 C124 C125 C125_spike C127 C127_skew C128 C129 C130 C133
    C133_cooperative C133_eager C134 C135 C136 C137 C137_acks H03 H11 H16 H16_power H19 H20 H20_cooperative H20_static
}
