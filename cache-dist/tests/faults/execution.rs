//! Executions on engines that answer in their own ways.

use std::sync::{Arc, Mutex};

use cache_dist::{
    Control, DigestFunction, Executed, Executor, OutputKind, RemoteError, RemoteExecutor, Result,
    Stage,
};
use tonic::Code;

use crate::support::{Missing, Quirks};
use crate::{action, inputs, start};

async fn run(executor: &RemoteExecutor) -> Result<Executed> {
    executor.execute(&action(), &inputs(DigestFunction::Sha256), &Control::new()).await
}

/// The action ran and its output is right.
async fn assert_ran(executed: &Executed) {
    let [output] = &executed.outputs[..] else { panic!("{executed:?}") };
    assert_eq!(output.path, "out/file");
    let OutputKind::File { content, .. } = &output.kind else { panic!("{output:?}") };
    assert_eq!(content.read().await.unwrap(), "out/file");
}

/// buildbox-casd.
#[tokio::test]
async fn no_stage_but_unknown_is_told() {
    let (_engine, executor) = start(Quirks { unknown_stages: true, ..Quirks::default() }).await;
    let stages = Arc::new(Mutex::new(Vec::new()));
    let control = Control::new().with_watch({
        let stages = stages.clone();
        move |stage| stages.lock().unwrap().push(stage)
    });
    let executed = executor.execute(&action(), &inputs(DigestFunction::Sha256), &control).await;
    assert_ran(&executed.unwrap()).await;
    assert_eq!(*stages.lock().unwrap(), [Stage::Uploading, Stage::Completed]);
}

/// The action, its inputs and all that was uploaded before vanish when it is about to run.
async fn inputs_are_evicted_before_they_are_used(missing: Missing) {
    let (engine, executor) = start(Quirks { missing, evict: 1, ..Quirks::default() }).await;
    let executed = run(&executor).await.unwrap();
    assert_ran(&executed).await;
    assert_eq!(engine.state.count("Execute"), 2);
    assert_eq!(engine.state.count("run"), 1);
    assert!(executed.uploaded.bytes > 2 * (5 << 20), "all was uploaded again: {executed:?}");
}

#[tokio::test]
async fn missing_inputs_are_named_in_details() {
    inputs_are_evicted_before_they_are_used(Missing::Details).await;
}

/// NativeLink.
#[tokio::test]
async fn missing_inputs_are_failed_precondition_without_details() {
    inputs_are_evicted_before_they_are_used(Missing::NoDetails).await;
}

/// buildbox-casd.
#[tokio::test]
async fn missing_inputs_are_code_13_in_the_answer() {
    inputs_are_evicted_before_they_are_used(Missing::Internal).await;
}

#[tokio::test]
async fn an_engine_that_forgets_for_ever_is_given_up() {
    for missing in [Missing::Details, Missing::NoDetails, Missing::Internal] {
        let (engine, executor) =
            start(Quirks { missing, evict: u32::MAX, ..Quirks::default() }).await;
        let error = run(&executor).await.unwrap_err();
        assert!(
            matches!(error, RemoteError::Refused(_) | RemoteError::Failed(_)),
            "{missing:?}: {error:?}"
        );
        assert!(engine.state.count("Execute") < 10);
    }
}

/// It says that it has all blobs, and then that it lacks them.
#[tokio::test]
async fn an_engine_that_claims_to_have_all_blobs_is_given_up() {
    for missing in [Missing::Details, Missing::NoDetails, Missing::Internal] {
        let (engine, executor) =
            start(Quirks { missing, claims_all: true, ..Quirks::default() }).await;
        run(&executor).await.unwrap_err();
        assert!(engine.state.count("Execute") < 10);
    }
}

/// BuildGrid.
#[tokio::test]
async fn an_unknown_key_of_the_platform_names_the_setting() {
    let quirks = Quirks { platform: vec!["OSFamily"], ..Quirks::default() };
    let (engine, executor) = start(quirks).await;
    let mut action = action();
    action.platform.insert("OSFamily".into(), "linux".into());
    let inputs = inputs(DigestFunction::Sha256);
    executor.execute(&action, &inputs, &Control::new()).await.unwrap();
    action.platform.insert("container-image".into(), "x".into());
    let error = executor.execute(&action, &inputs, &Control::new()).await.unwrap_err();
    let RemoteError::Misconfigured { setting, reason } = &error else { panic!("{error:?}") };
    assert_eq!(setting, "platform");
    assert!(reason.contains("container-image"), "{reason}");
    assert_eq!(engine.state.count("Execute"), 2, "it is not tried again");
}

/// buildbox-casd.
#[tokio::test]
async fn failures_are_kept_and_served() {
    let quirks = Quirks { exit_code: 1, keeps_failures: true, ..Quirks::default() };
    let (engine, executor) = start(quirks).await;
    assert_eq!(run(&executor).await.unwrap().exit_code, 1);
    engine.state.change(|quirks| quirks.exit_code = 0);
    let executed = run(&executor).await.unwrap();
    assert_eq!((executed.exit_code, executed.cached), (0, false));
    assert_eq!(engine.state.count("run"), 2);
}

#[tokio::test]
async fn a_lost_stream_is_taken_up_again() {
    let (engine, executor) = start(Quirks { drop_streams: 2, ..Quirks::default() }).await;
    assert_ran(&run(&executor).await.unwrap()).await;
    let count = |request| engine.state.count(request);
    assert_eq!((count("Execute"), count("WaitExecution"), count("run")), (1, 2, 1));
}

#[tokio::test]
async fn a_forgotten_operation_is_started_again() {
    let quirks = Quirks { drop_streams: 1, forgets_operations: true, ..Quirks::default() };
    let (engine, executor) = start(quirks).await;
    assert_ran(&run(&executor).await.unwrap()).await;
    assert_eq!(engine.state.count("WaitExecution"), 1);
    assert_eq!(engine.state.count("Execute"), 2);
}

#[tokio::test]
async fn streams_that_are_always_lost_end() {
    let (engine, executor) = start(Quirks { drop_streams: u32::MAX, ..Quirks::default() }).await;
    let error = run(&executor).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(engine.state.count("WaitExecution") < 50);
}

#[tokio::test]
async fn an_overloaded_engine_is_asked_again() {
    let (engine, executor) = start(Quirks::default()).await;
    for code in [Code::Unavailable, Code::ResourceExhausted, Code::Aborted] {
        engine.state.fail("Execute", 2, code);
        let mut action = action();
        action.salt = format!("{code:?}").into();
        let inputs = inputs(DigestFunction::Sha256);
        let executed = executor.execute(&action, &inputs, &Control::new()).await;
        assert_ran(&executed.unwrap()).await;
    }
    assert_eq!(engine.state.count("Execute"), 9);
}

#[tokio::test]
async fn what_is_given_up_is_cancelled_there() {
    for by_control in [true, false] {
        let (engine, executor) = start(Quirks { endless: true, ..Quirks::default() }).await;
        let control = Control::new();
        let told = Arc::new(tokio::sync::Notify::new());
        let watch = {
            let told = told.clone();
            control.clone().with_watch(move |stage| {
                if stage == Stage::Executing {
                    told.notify_one();
                }
            })
        };
        let (action, inputs) = (action(), inputs(DigestFunction::Sha256));
        let running = executor.execute(&action, &inputs, &watch);
        let given_up = async {
            told.notified().await;
            control.cancel();
        };
        if by_control {
            let (result, ()) = tokio::join!(running, given_up);
            assert!(matches!(result, Err(RemoteError::Cancelled)), "{result:?}");
        } else {
            tokio::select! {
                result = running => panic!("{result:?}"),
                () = told.notified() => {}
            }
        }
        engine.state.cancels.notified().await;
        assert!(engine.state.has_cancelled());
    }
}

#[tokio::test]
async fn a_cache_that_executes_nothing_says_so() {
    let (engine, executor) = start(Quirks { no_execution: true, ..Quirks::default() }).await;
    let error = run(&executor).await.unwrap_err();
    assert!(matches!(&error, RemoteError::Misconfigured { setting, .. } if setting == "url"));
    assert_eq!(engine.state.count("Execute"), 0);
}
