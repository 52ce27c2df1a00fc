//! The examples for CI servers: their shell parts are run as they stand, with the paths of this machine.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{Folder, ktrial};

fn example(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path);
    let text = std::fs::read_to_string(&path).expect("it is committed");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text at a path of keys and places.
fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("there is no text at {pointer}"))
}

/// A repository with a first scenario in `ktrial/`.
fn repository() -> (Folder, PathBuf) {
    let folder = Folder::new();
    let scenario = folder.path("ktrial/durability.yaml");
    let init = ktrial(&["init", "--output", &scenario]);
    assert_eq!(init.code, 0, "{}{}", init.stdout, init.stderr);
    let profiles = folder.path("ktrial.yaml");
    std::fs::write(profiles, "profiles:\n  ci: {seeds: 3}\n").expect("the folder can be written");
    let root = PathBuf::from(folder.path(""));
    (folder, root)
}

fn sh(script: &str, root: &Path, variables: &[(&str, &str)]) {
    let command = Path::new(env!("CARGO_BIN_EXE_ktrial"));
    let own = command.parent().expect("it is in a folder").display().to_string();
    let path = std::env::var("PATH").expect("there is one");
    let output = Command::new("sh")
        .args(["-euc", script])
        .current_dir(root)
        .env("PATH", format!("{own}:{path}"))
        .envs(variables.iter().copied())
        .output()
        .expect("sh is there");
    assert!(
        output.status.success(),
        "{script}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_github_workflow_tests_the_scenarios_of_a_repository() {
    let (_folder, root) = repository();
    let workflow = example("github/ktrial.yml");
    for step in ["2", "3"] {
        let run = text(&workflow, &format!("/jobs/guarantees/steps/{step}/run"));
        sh(
            run,
            &root,
            &[("KTRIAL_PROFILE", "ci"), ("KTRIAL_REPOSITORY", "unused")],
        );
    }
    assert!(
        std::fs::read_dir(root.join("target/ktrial"))
            .expect("reports")
            .count()
            > 0
    );
}

#[test]
fn the_gitlab_jobs_test_search_in_parts_and_merge() {
    let (_folder, root) = repository();
    let jobs = example("gitlab/ktrial.gitlab-ci.yml");
    sh(text(&jobs, "/kafka-guarantees/script/0"), &root, &[]);
    for index in ["1", "2", "3", "4"] {
        let variables = [
            ("CI_NODE_INDEX", index),
            ("CI_NODE_TOTAL", "4"),
            ("KTRIAL_SEEDS", "1..6"),
        ];
        sh(text(&jobs, "/kafka-search/script/0"), &root, &variables);
    }
    sh(text(&jobs, "/kafka-search-result/script/0"), &root, &[]);
    let whole = std::fs::read_to_string(root.join("whole/trials.jsonl")).expect("it was merged");
    assert_eq!(whole.lines().count(), 7, "a header and six trials");
    assert_eq!(jobs.pointer("/kafka-search/parallel"), Some(&Value::from(4)));
}

#[test]
fn the_kubernetes_job_runs_each_part_where_its_index_says() {
    let (_folder, root) = repository();
    let job = example("kubernetes/sweep.yaml");
    let container = "/spec/template/spec/containers/0";
    assert_eq!(text(&job, &format!("{container}/command/0")), "sh");
    let script = text(&job, &format!("{container}/args/0"));
    let shown = root.display().to_string();
    let script = script
        .replace("/scenarios/", "ktrial/")
        .replace("/results/", &format!("{}/", shown.trim_end_matches('/')));
    for index in ["0", "7"] {
        sh(
            &script,
            &root,
            &[("JOB_COMPLETION_INDEX", index), ("KTRIAL_SEEDS", "1..8")],
        );
    }
    for part in ["part-0", "part-7"] {
        let trials = std::fs::read_to_string(root.join(part).join("trials.jsonl")).expect("it was run");
        assert_eq!(trials.lines().count(), 2, "a header and one trial");
    }
    assert_eq!(job.pointer("/spec/completions"), Some(&Value::from(8)));
}
