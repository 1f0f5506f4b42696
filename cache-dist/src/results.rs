//! The engine's cache of actions' results.

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use tonic::Code;

use crate::retry::{retrying, within};
use crate::{CasDigest, Client, Result};

/// The result of an action; `None` if there is none. Standard output is asked for with it.
pub(crate) async fn get(client: &Client, action: CasDigest) -> Result<Option<pb::ActionResult>> {
    const WHAT: &str = "GetActionResult";
    let request = pb::GetActionResultRequest {
        instance_name: client.instance(),
        action_digest: Some(action.message()),
        inline_stdout: true,
        inline_stderr: true,
        digest_function: client.capabilities().await?.digest_function.number(),
        ..pb::GetActionResultRequest::default()
    };
    let limits = client.limits();
    retrying(limits, || {
        let mut results = client.results();
        let request = request.clone();
        within(limits.idle, WHAT, async move {
            match results.get_action_result(request).await {
                Ok(answer) => Ok(Some(answer.into_inner())),
                Err(status) if status.code() == Code::NotFound => Ok(None),
                Err(status) => Err(client.blame().explain(&status, WHAT)),
            }
        })
    })
    .await
}

/// Writes the result of an action over whatever is there.
pub(crate) async fn put(
    client: &Client,
    action: CasDigest,
    result: pb::ActionResult,
) -> Result<()> {
    let request = pb::UpdateActionResultRequest {
        instance_name: client.instance(),
        action_digest: Some(action.message()),
        action_result: Some(result),
        results_cache_policy: None,
        digest_function: client.capabilities().await?.digest_function.number(),
    };
    client
        .ask("UpdateActionResult", || {
            let (mut results, request) = (client.results(), request.clone());
            async move { results.update_action_result(request).await }
        })
        .await?;
    Ok(())
}
