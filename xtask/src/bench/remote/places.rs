//! Checkouts and stores of several machines that share one bucket.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::link::Link;
use crate::files::remove_tree;
use crate::larder;
use crate::measure::{Cost, measure};
use crate::subject::Subject;
use crate::tools::Tool;

/// The bucket, and the keys that may write it (see [`crate::servers`]).
const BUCKET: &str = "larder";
const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "larder"),
    ("AWS_SECRET_ACCESS_KEY", "larder-secret"),
    ("AWS_REGION", "us-east-1"),
];

/// The tool, sharing the bucket behind a port of this machine.
pub(super) fn remote(tool: &Tool, port: u16) -> Tool {
    if !tool.is_cache() {
        return tool.clone();
    }
    let tool = KEYS.iter().fold(tool.clone(), |tool, (name, value)| tool.with_env(name, value));
    if tool.larder_binary().is_some() {
        tool.with_env("LARDER_REMOTE", &format!("s3://{BUCKET}/bench"))
            .with_env("AWS_ENDPOINT_URL", &format!("http://127.0.0.1:{port}"))
    } else {
        tool.with_env("SCCACHE_BUCKET", BUCKET)
            .with_env("SCCACHE_ENDPOINT", &format!("127.0.0.1:{port}"))
            .with_env("SCCACHE_REGION", "us-east-1")
            .with_env("SCCACHE_S3_USE_SSL", "false")
            .with_env("SCCACHE_S3_KEY_PREFIX", "sccache")
    }
}

/// A port that nobody listens at.
///
/// # Errors
/// When there is none.
pub(super) fn closed_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Where a subject is built with one tool.
pub(super) struct Places<'s> {
    subject: &'s Subject,
    root: PathBuf,
    machines: usize,
}

impl<'s> Places<'s> {
    pub(super) fn new(subject: &'s Subject, scratch: &Path, name: &str) -> Self {
        Self { subject, root: scratch.join(name), machines: 0 }
    }

    /// The first machine's build, from nothing; then what it stored is uploaded.
    ///
    /// # Errors
    /// When the build or the upload fails.
    pub(super) fn first(&mut self, tool: &Tool, link: &Link) -> Result<Cost> {
        link.set(super::Conditions::default());
        let cost = self.build(tool, &self.checkout("first")?, &self.store("first"), true)?;
        Ok(cost)
    }

    /// A second checkout on the first machine.
    ///
    /// # Errors
    /// When the build fails.
    pub(super) fn local_hit(&mut self, tool: &Tool) -> Result<Cost> {
        let name = self.next();
        let checkout = self.checkout(&name)?;
        let cost = self.build(&tool.without_env(), &checkout, &self.store("first"), false)?;
        remove_tree(&checkout)?;
        Ok(cost)
    }

    /// A machine that has nothing yet.
    ///
    /// # Errors
    /// When the build fails.
    pub(super) fn other_machine(&mut self, tool: &Tool) -> Result<Cost> {
        let name = self.next();
        let (checkout, store) = (self.checkout(&name)?, self.store(&name));
        let cost = self.build(tool, &checkout, &store, false)?;
        remove_tree(&self.root.join(&name))?;
        Ok(cost)
    }

    fn build(&self, tool: &Tool, checkout: &Path, store: &Path, upload: bool) -> Result<Cost> {
        let stop = || {
            if let Some(binary) = tool.larder_binary().filter(|_| upload) {
                larder::push(binary, store, tool.env())?;
            }
            tool.stop(store)
        };
        let (cost, _) = measure(&mut tool.build(checkout, store), || tool.start(store), stop)?;
        eprintln!(
            "  {:>7.2} s wall {:>7.2} s CPU",
            cost.wall.as_secs_f64(),
            cost.cpu.as_secs_f64()
        );
        Ok(cost)
    }

    fn next(&mut self) -> String {
        self.machines += 1;
        format!("machine{}", self.machines)
    }

    fn checkout(&self, machine: &str) -> Result<PathBuf> {
        let path = self.root.join(machine).join(&self.subject.name);
        self.subject.check_out(&path)?;
        Ok(path)
    }

    fn store(&self, machine: &str) -> PathBuf {
        self.root.join(machine).join("state/store")
    }
}
