//! Commands on an engine, next to the same on this machine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cache_dist::{
    Action, Client, Control, DigestFunction, Directory, Executed, Executor, InputBuilder,
    LocalExecutor, OutputKind, RacingExecutor, ReapiConfig, RemoteError, RemoteExecutor,
};

use crate::server::{on_each_engine, unique_text};

on_each_engine!(
    a_command_that_takes_too_long_is_stopped,
    a_command_does_the_same_there_and_here,
    an_action_runs_once_and_its_inputs_are_uploaded_once,
    a_failed_run_is_not_taken_from_the_cache,
    the_loser_of_a_race_is_stopped_on_the_engine,
);

/// A command of the shell, whose tools are in `/usr` here and in the engine's sandbox.
pub(crate) fn shell(script: &str) -> Action {
    let mut action = Action::new(["/usr/bin/sh", "-c", script]);
    action.environment.insert("PATH".into(), "/usr/bin".into());
    // Nobody has run this before.
    action.salt = unique_text().into();
    action
}

pub(crate) fn empty() -> Arc<Directory> {
    InputBuilder::new(DigestFunction::Sha256).build()
}

pub(crate) fn remote(config: &ReapiConfig) -> RemoteExecutor {
    RemoteExecutor::new(Client::open(config).unwrap())
}

async fn run(executor: &dyn Executor, action: &Action, inputs: &Directory) -> Executed {
    executor.execute(action, inputs, &Control::new()).await.unwrap()
}

/// Everything about the outputs: bytes of files, targets of links, by path.
pub(crate) async fn outputs(executed: &Executed) -> BTreeMap<String, (String, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for output in &executed.outputs {
        let value = match &output.kind {
            OutputKind::File { content, size, executable } => {
                let bytes = content.read().await.unwrap();
                assert_eq!(bytes.len() as u64, *size);
                (format!("file, executable: {executable}"), bytes.to_vec())
            }
            OutputKind::Symlink(target) => ("link".to_owned(), target.clone().into_bytes()),
            OutputKind::Directory => ("directory".to_owned(), Vec::new()),
        };
        assert!(all.insert(output.path.clone(), value).is_none(), "{} twice", output.path);
    }
    all
}

async fn a_command_does_the_same_there_and_here(config: ReapiConfig) {
    let remote = remote(&config);
    let scratch = tempfile::tempdir().unwrap();
    let local = LocalExecutor::new(scratch.path());
    let mut inputs = InputBuilder::new(DigestFunction::Sha256);
    inputs.bytes("work/in/text", "hello ", false).unwrap();
    inputs
        .bytes("work/tool.sh", "#!/usr/bin/sh\ncat in/text in/link; printf %s \"$WHO\"", true)
        .unwrap();
    inputs.symlink("work/in/link", "text").unwrap();
    let inputs = inputs.build();
    let mut action = shell(
        "./tool.sh > out/greeting && ls -A > out/listing && mkdir -p tree/a/b && ln -s a/b tree/l \
         && cp tool.sh tree/a/tool && echo said && echo warned >&2 && exit 3",
    );
    action.environment.insert("WHO".into(), "world".into());
    action.working_directory = "work".into();
    action.outputs = ["out/greeting", "out/listing", "out/absent", "tree"].map(String::from).into();
    let (there, here) = (run(&remote, &action, &inputs).await, run(&local, &action, &inputs).await);
    assert_eq!(there.exit_code, 3);
    assert_eq!(there.stdout, "said\n");
    assert_eq!(there.stderr, "warned\n");
    let found = outputs(&there).await;
    assert_eq!(found["out/greeting"].1, b"hello hello world");
    assert!(!found.contains_key("out/absent"));
    assert!(found["tree/a/tool"].0.contains("true"), "it can be executed");
    assert_eq!(found, outputs(&here).await);
    assert_eq!((here.exit_code, here.stdout, here.stderr), (3, there.stdout, there.stderr));
    drop(here.outputs);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing is left here");
}

async fn an_action_runs_once_and_its_inputs_are_uploaded_once(config: ReapiConfig) {
    let remote = remote(&config);
    let mut inputs = InputBuilder::new(DigestFunction::Sha256);
    inputs.bytes("big", vec![b'x'; 5 << 20], false).unwrap();
    inputs.bytes("new", unique_text(), false).unwrap();
    let inputs = inputs.build();
    let mut action = shell("date +%N > out; wc -c < big");
    action.outputs = vec!["out".into()];
    let first = run(&remote, &action, &inputs).await;
    assert_eq!(first.stdout, "5242880\n");
    assert!(!first.cached && first.uploaded.bytes > 0, "{first:?}");
    let again = run(&remote, &action, &inputs).await;
    assert!(again.cached);
    assert_eq!(outputs(&again).await, outputs(&first).await);
    action.lookup = false;
    let rerun = run(&remote, &action, &inputs).await;
    assert!(!rerun.cached);
    assert_eq!(rerun.uploaded.blobs, 0, "all is there");
    assert_ne!(outputs(&rerun).await, outputs(&first).await);
}

/// buildbox-casd keeps failed actions, and serves them.
async fn a_failed_run_is_not_taken_from_the_cache(config: ReapiConfig) {
    let remote = remote(&config);
    let action = shell("date +%N; exit 1");
    let first = run(&remote, &action, &empty()).await;
    let second = run(&remote, &action, &empty()).await;
    assert_eq!((first.exit_code, second.exit_code), (1, 1));
    assert!(!second.cached);
    assert_ne!(first.stdout, second.stdout);
}

async fn a_command_that_takes_too_long_is_stopped(config: ReapiConfig) {
    let scratch = tempfile::tempdir().unwrap();
    let mut action = shell("echo begun; exec sleep 1000");
    action.timeout = Some(Duration::from_secs(1));
    let local = LocalExecutor::new(scratch.path());
    let executors: [Box<dyn Executor>; 2] = [Box::new(local), Box::new(remote(&config))];
    for executor in executors {
        let result = executor.execute(&action, &empty(), &Control::new()).await;
        assert!(matches!(result, Err(RemoteError::TimedOut(_))), "{executor:?}: {result:?}");
    }
}

async fn the_loser_of_a_race_is_stopped_on_the_engine(config: ReapiConfig) {
    let remote = remote(&config);
    let scratch = tempfile::tempdir().unwrap();
    let remote: Arc<dyn Executor> = Arc::new(remote);
    let racing = RacingExecutor::new(remote.clone(), Arc::new(LocalExecutor::new(scratch.path())))
        .with_head_start(Duration::from_millis(200));
    // Both engines have four seats: as many losers as that, left alone, would let nobody else run.
    let here = scratch.path().canonicalize().unwrap();
    for _ in 0..4 {
        let script =
            format!("case $PWD in {}/*) ;; *) sleep 1000 ;; esac; echo done", here.display());
        let action = shell(&script);
        assert_eq!(run(&racing, &action, &empty()).await.stdout, "done\n");
    }
    assert_eq!(run(&*remote, &shell("echo free"), &empty()).await.stdout, "free\n");
}

#[tokio::test]
async fn a_cancelled_command_ends_with_all_that_it_started() {
    let scratch = tempfile::tempdir().unwrap();
    let local = LocalExecutor::new(scratch.path());
    let fifo = scratch.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let path = fifo.display();
    // Both hold the pipe open: its end is theirs.
    let action = shell(&format!("exec 3> {path}; sleep 1000 & sleep 1000"));
    let control = Control::new();
    let reader = std::thread::spawn({
        let (fifo, control) = (fifo.clone(), control.clone());
        move || {
            let mut pipe = std::fs::File::open(fifo).unwrap();
            control.cancel();
            std::io::copy(&mut pipe, &mut std::io::sink()).unwrap()
        }
    });
    let result = local.execute(&action, &empty(), &control).await;
    assert!(matches!(result, Err(RemoteError::Cancelled)), "{result:?}");
    tokio::task::spawn_blocking(move || reader.join().unwrap()).await.unwrap();
}
