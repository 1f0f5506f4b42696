//! Running an action on an engine.

mod operation;
mod refusal;
mod result;

use async_trait::async_trait;
use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;

use super::action::Encoded;
use super::{Action, Control, Executed, Executor, Stage};
use crate::cas::Uploader;
use crate::retry::pause;
use crate::{Cas, Client, Content, Directory, RemoteError, Result, Uploaded, results};
use operation::Request;
use refusal::Refusal;

/// How often an action is sent again after the engine has lost its inputs, at most.
const LOSSES: u32 = 3;

/// Runs actions on an engine.
///
/// Inputs that the engine is not known to have are uploaded first, once for all actions; what it
/// turns out to have lost is uploaded again. A broken connection is made again and the running
/// action waited for. An action that is given up is cancelled on the engine. A failed run is never
/// taken from the engine's cache, since some keep them whatever the reason was.
#[derive(Debug)]
pub struct RemoteExecutor {
    client: Client,
    uploader: Uploader,
}

/// One try to have an action run, and what came of it.
enum Attempt {
    Done(Box<pb::ExecuteResponse>),
    Again,
}

impl RemoteExecutor {
    /// Runs actions on this engine.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let uploader = Uploader::new(Cas::new(client.clone()));
        Self { client, uploader }
    }

    /// The engine.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Brings inputs before an action needs them.
    ///
    /// # Errors
    /// As [`Cas::upload`].
    pub async fn upload(&self, inputs: &Directory) -> Result<Uploaded> {
        self.uploader.bring(inputs, &[]).await
    }

    async fn run(
        &self,
        action: &Action,
        inputs: &Directory,
        control: &Control,
    ) -> Result<Executed> {
        action.check()?;
        let can = self.client.capabilities().await?;
        if !can.execute {
            let reason = "the server there is a cache only: it executes nothing";
            return Err(RemoteError::misconfigured("url", reason));
        }
        let encoded = action.encode(can.digest_function, inputs.digest());
        if action.lookup
            && let Some(result) = results::get(&self.client, encoded.action_digest).await?
            && result.exit_code == 0
        {
            let executed = result::read(self.uploader.cas(), action, &result, true).await;
            // An entry whose outputs are gone is as good as none.
            if !matches!(executed, Err(RemoteError::Missing(_))) {
                control.tell(Stage::Completed);
                return executed;
            }
        }
        self.send(action, &encoded, inputs, control).await
    }

    async fn send(
        &self,
        action: &Action,
        encoded: &Encoded,
        inputs: &Directory,
        control: &Control,
    ) -> Result<Executed> {
        let mut uploaded = Uploaded::default();
        let (mut losses, mut tries, mut lookup) = (0, 0, action.lookup);
        loop {
            control.tell(Stage::Uploading);
            uploaded += self.bring(encoded, inputs).await?;
            let request = Request { client: &self.client, action, encoded, lookup, control };
            let response = match self.attempt(&request, inputs, &mut losses, &mut tries).await? {
                Attempt::Again => continue,
                Attempt::Done(response) => response,
            };
            let result = response.result.unwrap_or_default();
            if response.cached_result && result.exit_code != 0 && lookup {
                lookup = false;
                continue;
            }
            let cas = self.uploader.cas();
            let executed = match result::read(cas, action, &result, response.cached_result).await {
                // Kept a result, but not its outputs.
                Err(RemoteError::Missing(_)) if response.cached_result && lookup => {
                    lookup = false;
                    continue;
                }
                other => other?,
            };
            return Ok(Executed { uploaded, ..executed });
        }
    }

    /// Brings inputs, command and action.
    async fn bring(&self, encoded: &Encoded, inputs: &Directory) -> Result<Uploaded> {
        let own = [
            (encoded.command_digest, Content::Bytes(encoded.command.clone())),
            (encoded.action_digest, Content::Bytes(encoded.action.clone())),
        ];
        self.uploader.bring(inputs, &own).await
    }

    /// Has the action run; decides what a refusal means.
    async fn attempt(
        &self,
        request: &Request<'_>,
        inputs: &Directory,
        losses: &mut u32,
        tries: &mut u32,
    ) -> Result<Attempt> {
        let refusal = match request.run().await {
            Ok(response) => return Ok(Attempt::Done(Box::new(response))),
            Err(refusal) => refusal,
        };
        if *losses < LOSSES && self.has_lost(&refusal, request.encoded, inputs).await? {
            *losses += 1;
            self.uploader.forget();
            return Ok(Attempt::Again);
        }
        let error = refusal.explain(&self.client, request.action);
        if matches!(error, RemoteError::Unavailable(_)) && *tries < self.client.limits().retries {
            tokio::time::sleep(pause(self.client.limits(), *tries)).await;
            *tries += 1;
            return Ok(Attempt::Again);
        }
        Err(error)
    }

    /// Whether a refusal means that inputs are gone. Engines that do not say so are asked.
    async fn has_lost(
        &self,
        refusal: &Refusal,
        encoded: &Encoded,
        inputs: &Directory,
    ) -> Result<bool> {
        if refusal.names_missing() {
            return Ok(true);
        }
        if !refusal.may_be_about_missing() {
            return Ok(false);
        }
        let mut blobs = Vec::new();
        inputs.blobs(&|_| false, &mut blobs);
        let mut digests: Vec<_> = blobs.into_iter().map(|(digest, _)| digest).collect();
        digests.extend([encoded.command_digest, encoded.action_digest]);
        Ok(!self.uploader.cas().missing(&digests).await?.is_empty())
    }
}

#[async_trait]
impl Executor for RemoteExecutor {
    async fn execute(
        &self,
        action: &Action,
        inputs: &Directory,
        control: &Control,
    ) -> Result<Executed> {
        control.guard(self.run(action, inputs, control)).await
    }
}
