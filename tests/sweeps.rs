//! `ktrial sweep` and `ktrial merge`: results survive kills, and parts make a whole.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ktrial_sim::{Chance, Sequence};
use support::{Folder, Run, ktrial};

/// How often a sweep is killed.
const KILLS: u32 = 200;

fn sweep(output: &str, seeds: &str, more: &[&str]) -> Run {
    let arguments = ["sweep", "@t0", "--seeds", seeds, "--output", output];
    ktrial(&[&arguments, more].concat())
}

fn trials(folder: &str) -> Vec<u8> {
    std::fs::read(Path::new(folder).join("trials.jsonl")).expect("the sweep wrote it")
}

fn whole(folder: &Folder, name: &str, seeds: &str) -> String {
    let path = folder.path(name);
    let run = sweep(&path, seeds, &[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    path
}

#[test]
fn a_sweep_killed_at_two_hundred_random_instants_ends_with_the_bytes_of_one_that_was_not() {
    let folder = Folder::new();
    let reference = trials(&whole(&folder, "reference", "1..400"));
    let mut draws: Sequence = Chance::new(1).sequence(0);
    let mut sweeps = 0;
    let mut kills = 0;
    while kills < KILLS {
        sweeps += 1;
        let output = folder.path(&format!("killed-{sweeps}"));
        loop {
            let mut process = Command::new(env!("CARGO_BIN_EXE_ktrial"))
                .args([
                    "sweep", "@t0", "--seeds", "1..400", "--resume", "--output", &output,
                ])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the command starts");
            std::thread::sleep(Duration::from_micros(5_000 + draws.below(60_000)));
            // Killing a process that has just ended is no error.
            process.kill().expect("it is ours");
            if process.wait().expect("it is ours").success() {
                break;
            }
            kills += 1;
        }
        assert!(
            trials(&output) == reference,
            "sweep {sweeps} ended with other bytes"
        );
    }
    assert!(sweeps < KILLS, "kills came while sweeps ran: {sweeps} sweeps");
}

#[test]
fn the_parts_of_a_sweep_make_the_file_that_one_process_writes() {
    let folder = Folder::new();
    let reference = whole(&folder, "whole", "5..24");
    let parts: Vec<String> = (1..=3)
        .map(|index| {
            let path = folder.path(&format!("part-{index}"));
            let run = sweep(
                &path,
                "5..24",
                &["--shard", &format!("{index}/3"), "--workers", "1"],
            );
            assert_eq!(run.code, 0, "{}", run.stderr);
            path
        })
        .collect();
    let merged = folder.path("merged");
    let run = ktrial(&["merge", &parts[2], &parts[0], &parts[1], "--output", &merged]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("seeds 5 to 24"), "{}", run.stdout);
    assert!(trials(&merged) == trials(&reference));
    let summary =
        |folder: &str| std::fs::read(Path::new(folder).join("summary.json")).expect("it is written");
    assert!(summary(&merged) == summary(&reference));
}

#[test]
fn merge_refuses_gaps_overlaps_strangers_and_what_is_not_finished() {
    let folder = Folder::new();
    let part = |name: &str, seeds: &str, more: &[&str]| {
        let path = folder.path(name);
        let run = sweep(&path, seeds, more);
        assert_eq!(run.code, 0, "{}", run.stderr);
        path
    };
    let one = part("one", "1..6", &["--shard", "1/3"]);
    let two = part("two", "1..6", &["--shard", "2/3"]);
    let three = part("three", "1..6", &["--shard", "3/3"]);
    let merged = folder.path("merged");
    let refused = |parts: &[&str], says: &str| {
        let run = ktrial(&[&["merge"], parts, &["--output", &merged]].concat());
        assert_eq!(run.code, 2, "{}", run.stdout);
        assert!(run.stderr.contains(says), "{}", run.stderr);
        assert!(
            !Path::new(&merged).join("trials.jsonl").exists(),
            "it left a file that looks like a whole"
        );
    };
    refused(&[&one, &three], "seeds 3..4 are missing");
    refused(&[&one, &two], "seeds 5..6 are missing");
    refused(&[&one, &two, &two, &three], "overlap: both have seed 3");
    let other = part(
        "other",
        "1..6",
        &["--shard", "2/3", "--set", "min.insync.replicas=1"],
    );
    refused(&[&one, &other, &three], "different sweeps");

    let path = Path::new(&two).join("trials.jsonl");
    let complete = std::fs::read(&path).unwrap();
    std::fs::write(&path, &complete[..complete.len() - 7]).unwrap();
    refused(&[&one, &two, &three], "trials.jsonl, line 3: the line is cut");
    let lines: Vec<&[u8]> = complete.split_inclusive(|byte| *byte == b'\n').collect();
    std::fs::write(&path, lines[..2].concat()).unwrap();
    refused(&[&one, &two, &three], "is not finished: it has 1 of 2 trials");
    std::fs::write(&path, [lines[0], lines[2]].concat()).unwrap();
    refused(&[&one, &two, &three], "line 2: seed 4 where seed 3 was expected");
}

#[test]
fn a_folder_holds_one_sweep() {
    let folder = Folder::new();
    let output = whole(&folder, "sweep", "1..3");
    let before = trials(&output);
    let again = sweep(&output, "1..3", &[]);
    assert_eq!(again.code, 2);
    assert!(
        again.stderr.contains("is there already; --resume"),
        "{}",
        again.stderr
    );
    let other = sweep(&output, "1..3", &["--resume", "--set", "min.insync.replicas=1"]);
    assert_eq!(other.code, 2);
    assert!(other.stderr.contains("is of another sweep"), "{}", other.stderr);
    let longer = sweep(&output, "1..4", &["--resume"]);
    assert!(
        longer.stderr.contains("its seeds is 1..3, and this one's 1..4"),
        "{}",
        longer.stderr
    );
    assert!(trials(&output) == before);
    assert_eq!(
        sweep(&output, "1..3", &["--resume"]).code,
        0,
        "nothing is left to do"
    );
    assert!(trials(&output) == before);

    let file = std::fs::File::open(Path::new(&output).join("trials.jsonl")).unwrap();
    file.lock().unwrap();
    let busy = sweep(&output, "1..3", &["--resume"]);
    assert_eq!(busy.code, 2);
    assert!(
        busy.stderr.contains("is being written by another sweep"),
        "{}",
        busy.stderr
    );
}

#[test]
fn a_part_is_told_by_the_scheduler() {
    let folder = Folder::new();
    let run = |variables: &[(&str, &str)], shard: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_ktrial"))
            .args(["sweep", "@t0", "--seeds", "1..9", "--shard", shard, "--output"])
            .arg(folder.path(variables[0].0))
            .envs(variables.iter().copied())
            .output()
            .expect("the command starts");
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    let kubernetes = run(&[("JOB_COMPLETION_INDEX", "2")], "environment/3");
    assert!(kubernetes.contains("seeds 7 to 9"), "{kubernetes}");
    let gitlab = run(&[("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "3")], "environment");
    assert!(gitlab.contains("seeds 1 to 3"), "{gitlab}");
    let wrong = run(&[("SLURM_ARRAY_TASK_ID", "1")], "environment");
    assert!(wrong.contains("write environment/n"), "{wrong}");
}
