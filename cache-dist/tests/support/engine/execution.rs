//! Executions, which run nothing.

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use bazel_remote_apis::google::longrunning::operations_server::Operations;
use bazel_remote_apis::google::longrunning::{
    CancelOperationRequest, DeleteOperationRequest, GetOperationRequest, ListOperationsRequest,
    ListOperationsResponse, Operation, WaitOperationRequest, operation,
};
use bazel_remote_apis::google::{protobuf, rpc};
use futures::StreamExt;
use futures::stream::BoxStream;
use prost::Message;
use tonic::{Code, Request, Response, Status};

use super::{Missing, State, locked};

type Updates = BoxStream<'static, Result<Operation, Status>>;
type Answer<T> = Result<Response<T>, Status>;

/// The two messages of `google/rpc/error_details.proto` that the stubs do not have.
#[derive(Clone, PartialEq, prost::Message)]
struct PreconditionFailure {
    #[prost(message, repeated, tag = "1")]
    violations: Vec<Violation>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Violation {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    subject: String,
}

fn any(name: &str, message: &impl Message) -> protobuf::Any {
    let type_url = format!("type.googleapis.com/{name}");
    protobuf::Any { type_url, value: message.encode_to_vec() }
}

impl State {
    /// The blobs that an action needs and that are not there.
    fn lacking(&self, action: &pb::Digest) -> Vec<pb::Digest> {
        let Some(bytes) = self.blob(Some(action)) else { return vec![action.clone()] };
        let message = pb::Action::decode(&bytes[..]).unwrap();
        let mut lacking = Vec::new();
        let command = message.command_digest.unwrap_or_default();
        if self.blob(Some(&command)).is_none() {
            lacking.push(command);
        }
        let mut left = vec![message.input_root_digest.unwrap_or_default()];
        while let Some(digest) = left.pop() {
            let Some(bytes) = self.blob(Some(&digest)) else {
                if digest.size_bytes > 0 {
                    lacking.push(digest);
                }
                continue;
            };
            let directory = pb::Directory::decode(&bytes[..]).unwrap();
            left.extend(directory.directories.into_iter().filter_map(|node| node.digest));
            let files = directory.files.into_iter().filter_map(|node| node.digest);
            lacking.extend(files.filter(|file| self.blob(Some(file)).is_none()));
        }
        lacking
    }

    fn is_missing(&self, lacking: &[pb::Digest]) -> (bool, rpc::Status) {
        let violation = |digest: &pb::Digest| Violation {
            kind: "MISSING".into(),
            subject: format!("blobs/{}/{}", digest.hash, digest.size_bytes),
        };
        let failure = PreconditionFailure { violations: lacking.iter().map(violation).collect() };
        let details = vec![any("google.rpc.PreconditionFailure", &failure)];
        let message = "inputs are missing".to_owned();
        let status = |code: Code, details| rpc::Status { code: code.into(), message, details };
        match self.quirks().missing {
            Missing::Details => (true, status(Code::FailedPrecondition, details)),
            Missing::NoDetails => (true, status(Code::FailedPrecondition, Vec::new())),
            Missing::Internal => (false, status(Code::Internal, Vec::new())),
        }
    }

    /// The right result of an action: its outputs have their paths as contents.
    fn result_of(&self, action: &pb::Digest) -> pb::ActionResult {
        let action = pb::Action::decode(&self.blob(Some(action)).unwrap()[..]).unwrap();
        let command = self.blob(action.command_digest.as_ref()).unwrap();
        let command = pb::Command::decode(&command[..]).unwrap();
        let output = |path: String| {
            let digest = self.insert(path.as_bytes());
            let digest =
                pb::Digest { hash: digest.hex(), size_bytes: i64::try_from(path.len()).unwrap() };
            pb::OutputFile { path, digest: Some(digest), ..Default::default() }
        };
        pb::ActionResult {
            output_files: command.output_paths.into_iter().map(output).collect(),
            exit_code: self.quirks().exit_code,
            stdout_raw: format!("run {}", self.count("run")).into_bytes(),
            ..Default::default()
        }
    }

    fn check_platform(&self, action: &pb::Digest) -> Result<(), Status> {
        let known = self.quirks().platform;
        let Some(bytes) = self.blob(Some(action)) else { return Ok(()) };
        let platform = pb::Action::decode(&bytes[..]).unwrap().platform.unwrap_or_default();
        match platform.properties.iter().find(|property| !known.contains(&&*property.name)) {
            // The words of BuildGrid.
            Some(property) => Err(Status::failed_precondition(format!(
                "Unregistered platform property [{}={{'{}'}}].",
                property.name, property.value
            ))),
            None => Ok(()),
        }
    }

    /// The first word of an operation.
    fn first(&self, name: &str) -> Operation {
        let stage = match self.quirks().unknown_stages {
            true => pb::execution_stage::Value::Unknown,
            false => pb::execution_stage::Value::Executing,
        };
        let metadata = pb::ExecuteOperationMetadata { stage: stage.into(), ..Default::default() };
        let metadata = any("build.bazel.remote.execution.v2.ExecuteOperationMetadata", &metadata);
        Operation { name: name.to_owned(), metadata: Some(metadata), ..Default::default() }
    }

    /// The last word of an operation.
    fn last(&self, name: &str, response: &pb::ExecuteResponse) -> Operation {
        let mut response = any("build.bazel.remote.execution.v2.ExecuteResponse", response);
        if self.quirks().undecodable {
            response.value = vec![0xff; 9];
        }
        let result = Some(operation::Result::Response(response));
        Operation { done: true, result, ..self.first(name) }
    }

    /// What follows the first word: the answer, the end, or nothing for ever.
    fn rest(&self, name: &str, answer: &pb::ExecuteResponse) -> Updates {
        let first = Ok(self.first(name));
        let mut quirks = locked(&self.quirks);
        if quirks.drop_streams > 0 {
            quirks.drop_streams -= 1;
            return futures::stream::iter([first]).boxed();
        }
        let endless = quirks.endless;
        drop(quirks);
        if endless {
            return futures::stream::iter([first]).chain(futures::stream::pending()).boxed();
        }
        futures::stream::iter([first, Ok(self.last(name, answer))]).boxed()
    }

    /// The answer to an action whose inputs are there.
    fn execute_now(&self, action: &pb::Digest, lookup: bool) -> pb::ExecuteResponse {
        let kept = locked(&self.results).get(&action.hash).cloned();
        if let Some(result) = kept.filter(|_| lookup) {
            return pb::ExecuteResponse {
                result: Some(result),
                cached_result: true,
                ..Default::default()
            };
        }
        *locked(&self.counts).entry("run").or_default() += 1;
        let result = self.quirks().result.unwrap_or_else(|| self.result_of(action));
        if result.exit_code == 0 || self.quirks().keeps_failures {
            locked(&self.results).insert(action.hash.clone(), result.clone());
        }
        pb::ExecuteResponse { result: Some(result), ..Default::default() }
    }
}

#[async_trait::async_trait]
impl pb::execution_server::Execution for State {
    type ExecuteStream = Updates;
    type WaitExecutionStream = Updates;

    async fn execute(&self, request: Request<pb::ExecuteRequest>) -> Answer<Updates> {
        self.note("Execute")?;
        self.maybe_hang("Execute").await;
        let request = request.into_inner();
        let action = request.action_digest.unwrap_or_default();
        if self.quirks().evict > 0 {
            locked(&self.quirks).evict -= 1;
            locked(&self.blobs).clear();
        }
        self.check_platform(&action)?;
        let lacking = self.lacking(&action);
        let name = format!("operations/{}", action.hash);
        if !lacking.is_empty() {
            let (outside, status) = self.is_missing(&lacking);
            if outside {
                let details = status.encode_to_vec().into();
                let code = Code::from(status.code);
                return Err(Status::with_details(code, status.message, details));
            }
            let answer = pb::ExecuteResponse { status: Some(status), ..Default::default() };
            return Ok(Response::new(self.rest(&name, &answer)));
        }
        let answer = self.execute_now(&action, !request.skip_cache_lookup);
        let updates = self.rest(&name, &answer);
        self.begun.notify_one();
        Ok(Response::new(updates))
    }

    async fn wait_execution(&self, request: Request<pb::WaitExecutionRequest>) -> Answer<Updates> {
        self.note("WaitExecution")?;
        let name = request.into_inner().name;
        let hash = name.trim_start_matches("operations/").to_owned();
        let result = locked(&self.results).get(&hash).cloned();
        match result {
            Some(result) if !self.quirks().forgets_operations => {
                let answer = pb::ExecuteResponse { result: Some(result), ..Default::default() };
                Ok(Response::new(self.rest(&name, &answer)))
            }
            _ => Err(Status::not_found("no such operation")),
        }
    }
}

#[async_trait::async_trait]
impl Operations for State {
    async fn list_operations(
        &self,
        _: Request<ListOperationsRequest>,
    ) -> Answer<ListOperationsResponse> {
        Err(Status::unimplemented(""))
    }

    async fn get_operation(&self, _: Request<GetOperationRequest>) -> Answer<Operation> {
        Err(Status::unimplemented(""))
    }

    async fn delete_operation(
        &self,
        _: Request<DeleteOperationRequest>,
    ) -> Answer<protobuf::Empty> {
        Err(Status::unimplemented(""))
    }

    async fn cancel_operation(
        &self,
        request: Request<CancelOperationRequest>,
    ) -> Answer<protobuf::Empty> {
        self.note("CancelOperation")?;
        locked(&self.cancelled).insert(request.into_inner().name);
        self.cancels.notify_one();
        Ok(Response::new(protobuf::Empty {}))
    }

    async fn wait_operation(&self, _: Request<WaitOperationRequest>) -> Answer<Operation> {
        Err(Status::unimplemented(""))
    }
}
