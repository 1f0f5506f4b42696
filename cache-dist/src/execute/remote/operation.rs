//! One execution on an engine, from the request to the answer.

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use bazel_remote_apis::google::longrunning::{CancelOperationRequest, Operation, operation};
use prost::Message;
use tonic::{Code, Response, Status, Streaming};

use super::refusal::Refusal;
use crate::connection::name_action;
use crate::execute::action::Encoded;
use crate::execute::{Action, Control, Stage};
use crate::retry::{pause, within};
use crate::{Client, RemoteError};

/// What is asked of the engine.
pub(super) struct Request<'a> {
    pub(super) client: &'a Client,
    pub(super) action: &'a Action,
    pub(super) encoded: &'a Encoded,
    /// Earlier results may be used.
    pub(super) lookup: bool,
    pub(super) control: &'a Control,
}

type Updates = Streaming<Operation>;

impl Request<'_> {
    /// Runs the action to its end. When this is dropped before, it is cancelled on the engine.
    pub(super) async fn run(&self) -> Result<pb::ExecuteResponse, Refusal> {
        let mut running = Running { client: self.client, name: String::new(), furthest: None };
        let mut tries = 0;
        let mut updates = self.start().await.map_err(Refusal::Request)?;
        loop {
            match self.follow(&mut updates, &mut running, &mut tries).await {
                Ok(Some(response)) => {
                    running.name.clear();
                    return finished(response);
                }
                Ok(None) => {}
                Err(Refusal::Request(status)) if is_broken(&status) => {}
                Err(refusal) => {
                    running.name.clear();
                    return Err(refusal);
                }
            }
            updates = self.resume(&mut running, &mut tries).await?;
        }
    }

    /// Follows a stream to its end: the answer, or nothing if it ends without one. A stream that led
    /// further, or lived for a while, is no sign of trouble: proxies end the longest ones.
    async fn follow(
        &self,
        updates: &mut Updates,
        running: &mut Running<'_>,
        tries: &mut u32,
    ) -> Result<Option<pb::ExecuteResponse>, Refusal> {
        let begun = tokio::time::Instant::now();
        loop {
            let update = updates.message().await;
            if begun.elapsed() >= self.client.limits().idle {
                *tries = 0;
            }
            let Some(update) = update.map_err(Refusal::Request)? else { return Ok(None) };
            running.name.clone_from(&update.name);
            if let Some(stage) = stage(&update) {
                if Some(stage) > running.furthest {
                    running.furthest = Some(stage);
                    *tries = 0;
                }
                self.control.tell(stage);
            }
            if update.done {
                self.control.tell(Stage::Completed);
                return answer(update).map(Some);
            }
        }
    }

    /// Comes back to the running action; if the engine has forgotten it, or never gave it a name,
    /// starts it again: an action that runs already is joined by most engines.
    async fn resume(&self, running: &mut Running<'_>, tries: &mut u32) -> Result<Updates, Refusal> {
        let limits = self.client.limits();
        loop {
            if *tries >= limits.retries {
                let text =
                    "the connection was lost while an action ran, and could not be made again";
                return Err(Refusal::Other(RemoteError::Unavailable(text.into())));
            }
            tokio::time::sleep(pause(limits, *tries)).await;
            *tries += 1;
            let result = match running.name.is_empty() {
                true => self.start().await,
                false => self.wait(&running.name).await,
            };
            match result {
                Ok(updates) => return Ok(updates),
                Err(status) if is_broken(&status) => {}
                Err(_) if !running.name.is_empty() => running.name.clear(),
                Err(status) => return Err(Refusal::Request(status)),
            }
        }
    }

    async fn start(&self) -> Result<Updates, Status> {
        // Whoever sends an action has uploaded it and knows the capabilities.
        let can =
            self.client.capabilities().await.map_err(|e| Status::unavailable(e.to_string()))?;
        let allowed = can.priorities.iter().any(|range| range.contains(&self.action.priority));
        let policy = pb::ExecutionPolicy { priority: self.action.priority };
        let request = pb::ExecuteRequest {
            instance_name: self.client.instance(),
            skip_cache_lookup: !self.lookup,
            action_digest: Some(self.encoded.action_digest.message()),
            execution_policy: (allowed && self.action.priority != 0).then_some(policy),
            digest_function: can.digest_function.number(),
            inline_stdout: true,
            inline_stderr: true,
            ..pb::ExecuteRequest::default()
        };
        self.begin(self.client.executions().execute(self.named(request))).await
    }

    async fn wait(&self, name: &str) -> Result<Updates, Status> {
        let request = pb::WaitExecutionRequest { name: name.to_owned() };
        self.begin(self.client.executions().wait_execution(self.named(request))).await
    }

    fn named<T>(&self, request: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(request);
        name_action(&mut request, &self.encoded.action_digest.hex(), &self.action.label);
        request
    }

    /// Waits for a stream to begin. Some engines say nothing before the action has ended, not even
    /// that: so there is no limit on the time here but what keeps the connection alive.
    async fn begin(
        &self,
        request: impl Future<Output = Result<Response<Updates>, Status>>,
    ) -> Result<Updates, Status> {
        Ok(request.await?.into_inner())
    }
}

/// Whether a status means that the connection is gone, and the action may well run on.
fn is_broken(status: &Status) -> bool {
    std::error::Error::source(status).is_some() || status.code() == Code::Unavailable
}

fn stage(update: &Operation) -> Option<Stage> {
    use pb::execution_stage::Value;
    let metadata = update.metadata.as_ref()?;
    let metadata = pb::ExecuteOperationMetadata::decode(&metadata.value[..]).ok()?;
    match Value::try_from(metadata.stage).ok()? {
        // The end is told by the answer.
        Value::Unknown | Value::Completed => None,
        Value::CacheCheck => Some(Stage::CacheCheck),
        Value::Queued => Some(Stage::Queued),
        Value::Executing => Some(Stage::Executing),
    }
}

fn answer(update: Operation) -> Result<pb::ExecuteResponse, Refusal> {
    let garbage = |text: String| Refusal::Other(RemoteError::Garbage(text));
    match update.result {
        Some(operation::Result::Response(any)) => pb::ExecuteResponse::decode(&any.value[..])
            .map_err(|e| garbage(format!("an execution's answer does not decode: {e}"))),
        Some(operation::Result::Error(status)) => Err(Refusal::Answer(status)),
        None => Err(garbage("an execution has ended without an answer".into())),
    }
}

/// An answer whose status says that the action has run.
fn finished(response: pb::ExecuteResponse) -> Result<pb::ExecuteResponse, Refusal> {
    match &response.status {
        Some(status) if status.code != 0 => Err(Refusal::Answer(status.clone())),
        _ if response.result.is_none() => {
            let text = "an execution has ended without a result".into();
            Err(Refusal::Other(RemoteError::Garbage(text)))
        }
        _ => Ok(response),
    }
}

/// An execution that is cancelled on the engine when this is dropped with its name.
struct Running<'a> {
    client: &'a Client,
    name: String,
    /// The last stage that was told, of all tries.
    furthest: Option<Stage>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.name.is_empty() {
            return;
        }
        let (client, name) = (self.client.clone(), std::mem::take(&mut self.name));
        self.client.runtime().spawn(async move {
            let mut operations = client.operations();
            let cancel = async {
                // Engines that cannot are left to it; nobody waits for the result.
                let _ = operations.cancel_operation(CancelOperationRequest { name }).await;
                Ok(())
            };
            let _ = within(client.limits().idle, "CancelOperation", cancel).await;
        });
    }
}
