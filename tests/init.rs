//! `ktrial init`: from a user's own files to a scenario that runs.

mod support;

use std::path::Path;

use support::{Folder, ktrial};

/// The property files that the models' tests bring, as teams would.
fn team(name: &str, file: &str) -> String {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tests/files");
    files.join(name).join(file).display().to_string()
}

#[test]
fn the_scenario_includes_the_files_and_runs() {
    let folder = Folder::new();
    for (name, files) in [
        (
            "careful",
            vec![
                ("broker", "broker"),
                ("controller", "controller"),
                ("producer", "producer"),
            ],
        ),
        (
            "upgraded",
            vec![
                ("broker", "broker"),
                ("controller", "controller"),
                ("topic", "topic"),
            ],
        ),
        (
            "stock-4.3",
            vec![
                ("broker", "server"),
                ("producer", "producer"),
                ("consumer", "consumer"),
            ],
        ),
    ] {
        let output = folder.path(&format!("{name}/trial.yaml"));
        let mut arguments = vec!["init".to_owned(), "--output".to_owned(), output.clone()];
        for (scope, file) in files {
            arguments.push(format!("--{scope}-config"));
            arguments.push(team(name, &format!("{file}.properties")));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let init = ktrial(&arguments);
        assert_eq!(init.code, 0, "{name}: {}{}", init.stdout, init.stderr);
        let run = ktrial(&["run", &output, "--seed", "3"]);
        assert_ne!(run.code, 2, "{name}: {}", run.stderr);
        assert!(run.stdout.contains("acknowledged"), "{name}: {}", run.stdout);
        let again = ktrial(&arguments);
        assert_eq!(again.code, 2);
        assert!(again.stderr.contains("is there already"), "{}", again.stderr);
    }
}

#[test]
fn a_file_of_both_roles_makes_a_combined_cluster() {
    let folder = Folder::new();
    let output = folder.path("trial.yaml");
    let server = team("stock-4.3", "server.properties");
    assert_eq!(
        ktrial(&["init", "--broker-config", &server, "--output", &output]).code,
        0
    );
    let text = std::fs::read_to_string(&output).unwrap();
    assert!(text.contains("combined: true"), "{text}");
}

#[test]
fn a_consumer_file_with_a_group_makes_members_of_it() {
    let folder = Folder::new();
    let consumer = folder.file(
        "consumer.properties",
        b"group.id = billing: eu\nenable.auto.commit=false\ngroup.protocol=consumer\n",
    );
    let output = folder.path("trial.yaml");
    let init = ktrial(&["init", "--consumer-config", &consumer, "--output", &output]);
    assert_eq!(init.code, 0, "{}", init.stderr);
    let text = std::fs::read_to_string(&output).unwrap();
    assert!(
        text.contains("group: \"billing: eu\", ") && text.contains("commit: after"),
        "{text}"
    );
    let run = ktrial(&["run", &output, "--seed", "1"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("group billing: eu  processed "),
        "{}",
        run.stdout
    );
}

#[test]
fn what_kafka_would_refuse_is_said_at_once() {
    let folder = Folder::new();
    let output = folder.path("trial.yaml");
    let init = ktrial(&[
        "init",
        "--producer-config",
        &team("hurried", "producer.properties"),
        "--output",
        &output,
    ]);
    assert_eq!(init.code, 2);
    assert!(init.stderr.contains("REFUSED"), "{}{}", init.stdout, init.stderr);
}

#[test]
fn what_is_not_modelled_is_accepted_by_name_and_a_misspelt_name_is_an_error() {
    let folder = Folder::new();
    let output = folder.path("trial.yaml");
    let file = folder.file(
        "server.properties",
        b"log.retention.hours=24\nmin.insync.replicas=2\n",
    );
    let init = ktrial(&["init", "--broker-config", &file, "--output", &output]);
    assert_eq!(init.code, 0, "{}", init.stderr);
    let text = std::fs::read_to_string(&output).unwrap();
    assert!(text.contains("broker: server.properties"), "{text}");
    let wrong = folder.file("wrong.properties", b"min.insync.replica=2\n");
    let init = ktrial(&[
        "init",
        "--broker-config",
        &wrong,
        "--output",
        &folder.path("other.yaml"),
    ]);
    assert_eq!(init.code, 2);
    assert!(
        init.stderr.contains("wrong.properties:1:")
            && init.stderr.contains("did you mean min.insync.replicas?"),
        "{}",
        init.stderr
    );
}

#[test]
fn every_command_is_completed_and_has_its_page_in_the_manual() {
    let folder = Folder::new();
    let manual = folder.path("man1");
    assert_eq!(ktrial(&["manual", &manual]).code, 0);
    let completions = ktrial(&["completions", "bash"]).stdout;
    let help = ktrial(&["--help"]).stdout;
    let commands = help.split("Commands:\n").nth(1).expect("help lists them");
    // What is said of a command may go on in a line of its own, further in.
    let commands: Vec<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() > 12, "{commands:?}");
    let whole = std::fs::read_to_string(Path::new(&manual).join("ktrial.1")).expect("it is written");
    for command in commands.into_iter().filter(|command| *command != "help") {
        assert!(
            whole.contains(&format!("ktrial\\-{command}(1)")),
            "{command} in\n{whole}"
        );
        let page = std::fs::read_to_string(Path::new(&manual).join(format!("ktrial-{command}.1")));
        assert!(page.expect("it is written").contains(".SH OPTIONS"), "{command}");
        assert!(
            completions.contains(&format!("ktrial__subcmd__{command}")),
            "{command}"
        );
    }
}

/// What the README tells a new user to do: a red build that names what broke, a setting, a green build.
#[test]
fn a_first_scenario_goes_red_with_acks_1_and_green_with_acks_all() {
    let folder = Folder::new();
    let producer = folder.file("producer.properties", b"acks=1\n");
    let scenario = folder.path("ktrial/durability.yaml");
    let init = ktrial(&["init", "--producer-config", &producer, "--output", &scenario]);
    assert_eq!(init.code, 0, "{}", init.stderr);
    let red = ktrial(&["test", &scenario, "--profile", "ci", "--seeds", "30"]);
    assert_eq!(red.code, 1, "{}{}", red.stdout, red.stderr);
    let broken = "FAILED   DUR-1 acked-survives: EXPOSED in ";
    assert!(red.stdout.contains(broken), "{}", red.stdout);
    assert!(
        red.stdout
            .contains("acks=1: the leader answered before any follower"),
        "{}",
        red.stdout
    );
    folder.file("producer.properties", b"acks=all\n");
    let green = ktrial(&["test", &scenario, "--profile", "ci", "--seeds", "30"]);
    assert_eq!(green.code, 0, "{}{}", green.stdout, green.stderr);
}
