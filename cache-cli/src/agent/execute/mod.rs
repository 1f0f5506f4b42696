//! Compiling on an engine: the agent keeps what is worth keeping between units.

mod dispatcher;
mod engine;
mod figures;
mod tails;
mod underway;
mod work;
mod worth;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use cache_core::Digest;

pub(super) use dispatcher::AgentDispatcher;
use engine::Engine;

use super::ask::Conversation;
use super::protocol::{Ask, Reply};
use super::remote::locked;
use crate::config::ExecuteSettings;

/// The engines that were asked for.
#[derive(Default)]
pub(super) struct Engines {
    open: Mutex<HashMap<Digest, Arc<Engine>>>,
}

impl Engines {
    /// Answers a request about an engine.
    ///
    /// # Errors
    /// What the connection says.
    pub(super) async fn answer(
        &self,
        settings: ExecuteSettings,
        ask: Ask,
        talk: &mut Conversation,
    ) -> io::Result<()> {
        let engine = match self.open(settings) {
            Ok(engine) => engine,
            Err(why) => return talk.say(&Reply::Nothing { why }).await,
        };
        match ask {
            Ask::Execute(job) => engine.execute(&job, talk).await,
            Ask::Status => talk.say(&Reply::Status(engine.status())).await,
            _ => {
                talk.say(&Reply::Nothing {
                    why: "an engine is asked to execute, or how it is".into(),
                })
                .await
            }
        }
    }

    /// The engine of these settings, opened if it is a new one.
    fn open(&self, settings: ExecuteSettings) -> Result<Arc<Engine>, String> {
        let name = Digest::of(&serde_json::to_vec(&settings).unwrap_or_default());
        let mut open = locked(&self.open);
        if let Some(engine) = open.get(&name) {
            return Ok(engine.clone());
        }
        let engine = Arc::new(Engine::open(settings)?);
        open.insert(name, engine.clone());
        Ok(engine)
    }
}
