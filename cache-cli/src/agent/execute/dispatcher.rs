//! The engine's dispatcher: the agent.

use std::fs;
use std::io;
use std::net::Shutdown;
use std::path::PathBuf;
use std::time::Duration;

use cache_rustc::engine::{Dispatched, Dispatcher, Executed, IdleCore, Job, Local, Progress};

use super::super::client::{Asked, Client, Got};
use super::super::protocol::{Ask, Came, Meanwhile, Message, Reply};
use crate::config::ExecuteSettings;

/// What an agent needs to say what a core is to do, on a machine that is not busy.
const ANSWER: Duration = Duration::from_millis(20);

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
                let scratch = job.scratch.clone();
                Ok(Box::new(Executing { asked, scratch, came: None }))
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
    /// Read already.
    came: Option<Got>,
}

impl Dispatched for Executing {
    fn wait(&mut self, limit: Duration) -> Progress {
        let got = self.came.take().unwrap_or_else(|| self.asked.reply(limit));
        match got {
            Got::Reply(Reply::Executed(came)) => match read(&self.scratch, *came) {
                Ok(executed) => Progress::Done(Box::new(executed)),
                Err(error) => Progress::Failed(format!("scratch: {error}")),
            },
            Got::Reply(Reply::Nothing { why }) => Progress::Failed(why),
            // The answer to a question that nobody waited for.
            Got::Nothing | Got::Reply(Reply::Wait { .. }) => Progress::NotYet,
            Got::Reply(_) | Got::Gone => Progress::Failed("agent-gone".into()),
        }
    }

    fn idle_core(&mut self) -> IdleCore {
        if self.came.is_some() {
            return IdleCore::Wait(Duration::ZERO);
        }
        if self.asked.say(&Message::json(&Meanwhile::CoreIsFree)).is_err() {
            return IdleCore::Begin;
        }
        match self.asked.reply(ANSWER) {
            // An agent that is slow to answer holds up nobody.
            Got::Nothing | Got::Reply(Reply::Wait { ms: 0 }) => IdleCore::Begin,
            Got::Reply(Reply::Wait { ms }) => IdleCore::Wait(Duration::from_millis(ms)),
            came => {
                self.came = Some(came);
                IdleCore::Wait(Duration::ZERO)
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    fn asking() -> (Executing, UnixStream) {
        let (own, agent) = UnixStream::pair().expect("a pair");
        let (asked, scratch) = (Asked::on(own), PathBuf::from("/nowhere"));
        (Executing { asked, scratch, came: None }, agent)
    }

    fn says(mut agent: &UnixStream, reply: &Reply) {
        agent.write_all(&Message::json(reply).encode()).expect("it is heard");
    }

    #[test]
    fn an_idle_core_does_what_the_agent_says() {
        let (mut asking, agent) = asking();
        says(&agent, &Reply::Wait { ms: 100 });
        assert_eq!(asking.idle_core(), IdleCore::Wait(Duration::from_millis(100)));
        says(&agent, &Reply::Wait { ms: 0 });
        assert_eq!(asking.idle_core(), IdleCore::Begin);
    }

    #[test]
    fn an_agent_that_does_not_answer_holds_up_nobody() {
        let (mut asking, agent) = asking();
        assert_eq!(asking.idle_core(), IdleCore::Begin);
        // What it says too late is not taken for news.
        says(&agent, &Reply::Wait { ms: 100 });
        assert!(matches!(asking.wait(LONG), Progress::NotYet));
        drop(agent);
        assert!(matches!(asking.wait(LONG), Progress::Failed(_)));
    }

    #[test]
    fn a_result_that_comes_instead_of_an_answer_is_not_lost() {
        let (mut asking, agent) = asking();
        says(&agent, &Reply::Nothing { why: "engine".into() });
        for _ in 0..2 {
            assert_eq!(asking.idle_core(), IdleCore::Wait(Duration::ZERO));
        }
        assert!(matches!(asking.wait(LONG), Progress::Failed(why) if why == "engine"));
    }

    const LONG: Duration = Duration::from_secs(60);
}
