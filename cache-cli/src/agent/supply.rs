//! The engine's supply: the agent.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use cache_core::{Digest, RecipeKey};
use cache_rustc::engine::{Coming, News, Supply};

use super::client::{Asked, Client, Got};
use super::protocol::{Ask, Choice, Message, Reply};
use super::spool::{Item, Spool};
use crate::config::{Access, RemoteSettings};

/// Past what the agent said itself: for its word to arrive.
const MARGIN: Duration = Duration::from_millis(50);

/// The agent as a supply.
#[derive(Debug)]
pub(crate) struct AgentSupply {
    client: Client,
    /// Where what was stored is noted, if that is wanted.
    spool: Option<Spool>,
}

impl AgentSupply {
    /// For a remote; `None` when this program's own file cannot be found.
    pub(crate) fn new(remote: RemoteSettings) -> Option<Self> {
        let writes = remote.access == Access::ReadWrite;
        let spool = writes.then(|| Spool::new(&remote.dir()));
        Some(Self { client: Client::new(remote).ok()?, spool })
    }

    fn bringing(&self, asked: Asked) -> Bringing {
        Bringing { asked, until: Instant::now(), margin: self.client.wait(MARGIN) }
    }

    fn note(&self, item: &Item) -> bool {
        // What cannot be noted is not shared; the build has nothing of it.
        self.spool.as_ref().is_some_and(|spool| spool.add(item).is_ok())
    }
}

impl Supply for AgentSupply {
    fn bring(&self, key: &RecipeKey) -> Option<Box<dyn Coming>> {
        let asked = self.client.ask_anybody(&Ask::Bring { key: key.0.to_hex() })?;
        Some(Box::new(self.bringing(asked)))
    }

    fn stored(&self, key: &RecipeKey, outcome: &Digest) {
        self.note(&Item::Outcome { key: *key, outcome: *outcome });
    }

    fn bring_build(&self, exact: &RecipeKey, near: &[RecipeKey]) -> bool {
        let ask = Ask::BringBuild {
            exact: exact.0.to_hex(),
            near: near.iter().map(|key| key.0.to_hex()).collect(),
        };
        let Some(asked) = self.client.ask_anybody(&ask) else { return false };
        let mut bringing = self.bringing(asked);
        loop {
            match bringing.wait(bringing.patience()) {
                News::Here => return true,
                News::Offer(_) => {}
                News::Nothing | News::NotYet => return false,
            }
        }
    }

    fn build_known(&self, exact: &RecipeKey, near: &[RecipeKey]) {
        let noted = self.note(&Item::Build { exact: *exact, near: near.to_vec() });
        if noted {
            let _ = self.client.ask_anybody(&Ask::Poke);
        }
    }
}

/// What the agent is asked to bring.
struct Bringing {
    asked: Asked,
    /// Until when the agent says that waiting is worth it.
    until: Instant,
    /// For its word to arrive.
    margin: Duration,
}

impl Coming for Bringing {
    fn patience(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    fn wait(&mut self, limit: Duration) -> News {
        let mut end = Instant::now() + limit;
        loop {
            match self.asked.reply(end.saturating_duration_since(Instant::now())) {
                Got::Reply(Reply::Wait { ms }) => {
                    // No time is none: the compiler starts at once.
                    let margin = if ms == 0 { Duration::ZERO } else { self.margin };
                    self.until = Instant::now() + Duration::from_millis(ms) + margin;
                    end = end.max(self.until);
                }
                Got::Reply(Reply::Offer) => {
                    return match self.asked.message(self.margin * 10) {
                        Ok(Some(Message::Raw(record))) => News::Offer(record),
                        _ => News::Nothing,
                    };
                }
                Got::Reply(Reply::Here) => return News::Here,
                Got::Nothing => return News::NotYet,
                Got::Reply(_) | Got::Gone => return News::Nothing,
            }
        }
    }

    fn choose(&mut self, outcome: Option<&Digest>) {
        let choice = Choice { outcome: outcome.map(Digest::to_hex) };
        // The answer tells whether it was heard, and how long to wait.
        self.until = Instant::now() + self.margin;
        let _ = self.asked.say(&Message::json(&choice));
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
