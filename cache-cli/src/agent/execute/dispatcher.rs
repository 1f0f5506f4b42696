//! The engine's dispatcher: the agent.

use std::fs;
use std::io;
use std::net::Shutdown;
use std::path::PathBuf;
use std::time::Duration;

use cache_rustc::engine::{Dispatched, Dispatcher, Executed, Job, Local, Progress};

use super::super::client::{Asked, Client, Got};
use super::super::protocol::{Ask, Came, Reply};
use crate::config::ExecuteSettings;

/// The agent as a dispatcher.
#[derive(Debug)]
pub(crate) struct AgentDispatcher {
    client: Client<ExecuteSettings>,
    local: Local,
}

impl AgentDispatcher {
    /// For an engine; `None` when this program's own file cannot be found.
    pub(crate) fn new(engine: ExecuteSettings, local: Local) -> Option<Self> {
        let client = Client::of_engine(engine).ok()?;
        // Who wants to see what can be compiled there does not mind an agent that is slow to start.
        let client = if local == Local::Never { client.patient() } else { client };
        Some(Self { client, local })
    }
}

impl Dispatcher for AgentDispatcher {
    fn dispatch(&self, job: &Job) -> Result<Box<dyn Dispatched>, String> {
        let asked = self.client.ask_anybody(&Ask::Execute(Box::new(job.clone())));
        let mut asked = asked.ok_or("no-agent")?;
        match asked.reply(Duration::ZERO) {
            Got::Reply(Reply::Done) => {
                Ok(Box::new(Executing { asked, scratch: job.scratch.clone() }))
            }
            Got::Reply(Reply::Nothing { why }) => Err(why),
            Got::Reply(_) | Got::Nothing | Got::Gone => Err("agent-gone".into()),
        }
    }

    fn local(&self) -> Local {
        self.local
    }
}

/// A job that the agent is at.
struct Executing {
    asked: Asked,
    scratch: PathBuf,
}

impl Dispatched for Executing {
    fn wait(&mut self, limit: Duration) -> Progress {
        match self.asked.reply(limit) {
            Got::Reply(Reply::Executed(came)) => match read(&self.scratch, *came) {
                Ok(executed) => Progress::Done(Box::new(executed)),
                Err(error) => Progress::Failed(format!("scratch: {error}")),
            },
            Got::Reply(Reply::Nothing { why }) => Progress::Failed(why),
            Got::Nothing => Progress::NotYet,
            Got::Reply(_) | Got::Gone => Progress::Failed("agent-gone".into()),
        }
    }

    fn canceller(&self) -> Box<dyn Fn() + Send + Sync> {
        let stream = self.asked.stream();
        Box::new(move || {
            if let Ok(stream) = &stream {
                let _ = stream.shutdown(Shutdown::Both);
            }
        })
    }
}

fn read(scratch: &std::path::Path, came: Came) -> io::Result<Executed> {
    let get = |name: &str| fs::read(scratch.join(name));
    let left = get("left")?;
    let names = left.split(|byte| *byte == b'\n').filter(|name| !name.is_empty());
    Ok(Executed {
        exit_code: came.exit_code,
        env: came.env,
        tied: came.tied,
        stdout: get("stdout")?,
        stderr: get("stderr")?,
        outputs: came.outputs.iter().map(|at| (*at, scratch.join(at.to_string()))).collect(),
        trace: get("trace").ok(),
        left: names.map(<[u8]>::to_vec).collect(),
        system: came.system,
        run_us: came.run_us,
        alone_us: came.alone_us,
    })
}
