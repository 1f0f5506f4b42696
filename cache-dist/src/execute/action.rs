//! A command, and how it is to be run.

use std::collections::BTreeMap;
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use bazel_remote_apis::google::protobuf;
use bytes::Bytes;
use prost::Message;

use crate::inputs::names;
use crate::{CasDigest, DigestFunction, Result};

/// A command to be run in a tree of inputs, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Action {
    /// Program and arguments. A program with `/` in it is relative to the working directory,
    /// another is looked for in the `PATH` of `environment`.
    pub arguments: Vec<String>,
    /// All variables that the command sees, but for what an engine adds.
    pub environment: BTreeMap<String, String>,
    /// Where it runs: a directory of the inputs, or empty for their root.
    pub working_directory: String,
    /// What to bring back: files, links or whole directories, relative to the working directory.
    /// Directories above them are made before the command runs.
    pub outputs: Vec<String>,
    /// What a worker has to be, in the engine's own words. Some engines refuse words that they do
    /// not know; none by default.
    pub platform: BTreeMap<String, String>,
    /// How long the command may run; else as the engine has it.
    pub timeout: Option<Duration>,
    /// Below zero before others, above zero after them; as far as the engine has it.
    pub priority: i32,
    /// Take the result of an earlier run of the same, if there is one and it succeeded.
    pub lookup: bool,
    /// Let the engine keep the result.
    pub store: bool,
    /// Bytes that make the action another one.
    pub salt: Bytes,
    /// What it is, for whoever looks at the engine: a crate's name, say.
    pub label: String,
}

impl Action {
    /// A command with these arguments and nothing else: found in the engine's cache and kept there.
    #[must_use]
    pub fn new(arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: BTreeMap::new(),
            working_directory: String::new(),
            outputs: Vec::new(),
            platform: BTreeMap::new(),
            timeout: None,
            priority: 0,
            lookup: true,
            store: true,
            salt: Bytes::new(),
            label: String::new(),
        }
    }

    /// Refuses paths that lead out of the inputs.
    ///
    /// # Errors
    /// [`RemoteError::Local`](crate::RemoteError::Local), naming the path.
    pub(crate) fn check(&self) -> Result<()> {
        names(&self.working_directory)?;
        for output in &self.outputs {
            if names(output)?.is_empty() {
                return Err(crate::RemoteError::Local("an output has no name".into()));
            }
        }
        Ok(())
    }

    fn properties(&self) -> Option<pb::Platform> {
        let property = |(name, value): (&String, &String)| pb::platform::Property {
            name: name.clone(),
            value: value.clone(),
        };
        // In the order of names, as the API has it.
        let properties: Vec<_> = self.platform.iter().map(property).collect();
        (!properties.is_empty()).then_some(pb::Platform { properties })
    }

    /// Says outputs in the words of version 2.1 of the API, and the platform both in those of 2.2
    /// and before.
    #[allow(deprecated)]
    fn command(&self) -> pb::Command {
        let variable = |(name, value): (&String, &String)| pb::command::EnvironmentVariable {
            name: name.clone(),
            value: value.clone(),
        };
        let mut output_paths = self.outputs.clone();
        output_paths.sort_unstable();
        output_paths.dedup();
        pb::Command {
            arguments: self.arguments.clone(),
            environment_variables: self.environment.iter().map(variable).collect(),
            output_paths,
            platform: self.properties(),
            working_directory: self.working_directory.clone(),
            ..pb::Command::default()
        }
    }

    /// The messages that stand for the action.
    pub(crate) fn encode(&self, function: DigestFunction, root: CasDigest) -> Encoded {
        let command = Bytes::from(self.command().encode_to_vec());
        let command_digest = function.of(&command);
        let action = pb::Action {
            command_digest: Some(command_digest.message()),
            input_root_digest: Some(root.message()),
            timeout: self.timeout.map(duration),
            do_not_cache: !self.store,
            salt: self.salt.to_vec(),
            platform: self.properties(),
        };
        let action = Bytes::from(action.encode_to_vec());
        let action_digest = function.of(&action);
        Encoded { command, command_digest, action, action_digest }
    }
}

/// An action as messages of the API.
pub(crate) struct Encoded {
    pub(crate) command: Bytes,
    pub(crate) command_digest: CasDigest,
    pub(crate) action: Bytes,
    pub(crate) action_digest: CasDigest,
}

fn duration(duration: Duration) -> protobuf::Duration {
    protobuf::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}
