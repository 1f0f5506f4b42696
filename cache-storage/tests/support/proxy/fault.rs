//! What can go wrong, and when.

use std::time::Duration;

use super::head::Head;

/// What happens to a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    None,
    /// The request is passed on only after this time.
    Latency(Duration),
    /// The answer comes at this many bytes a second.
    Throttle(u64),
    /// The connection is reset when the request has come.
    Reset,
    /// The request is taken, and never answered.
    Hang,
    /// The server is not asked; this is the answer: status line without version, and body.
    Answer(&'static str, &'static str),
    /// The connection closes after this many bytes of the answer's body.
    Truncate(usize),
    /// The answer's body is complete by its head, but only this long.
    Shorten(usize),
    /// A bit of the answer's body is flipped, this many bytes from its beginning.
    Flip(usize),
}

/// A fault for some requests.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    fault: Fault,
    method: Option<&'static str>,
    left: Option<u64>,
    /// One in so many, and which.
    share: Option<(u64, u64)>,
    seen: u64,
}

impl Rule {
    /// For every request.
    pub(crate) fn always(fault: Fault) -> Self {
        Self { fault, method: None, left: None, share: None, seen: 0 }
    }

    /// Only for requests of this method.
    pub(crate) fn on(mut self, method: &'static str) -> Self {
        self.method = Some(method);
        self
    }

    /// Only so many times.
    pub(crate) fn times(mut self, times: u64) -> Self {
        self.left = Some(times);
        self
    }

    /// Only for one in so many of those that it is for, the first after `offset` others.
    #[allow(dead_code, reason = "only some of the test programs ask for it")]
    pub(crate) fn one_in(mut self, number: u64, offset: u64) -> Self {
        self.share = Some((number, offset % number));
        self
    }

    pub(super) fn applies_to(&self, request: &Head) -> bool {
        self.left != Some(0) && self.method.is_none_or(|method| request.method() == method)
    }

    pub(super) fn strike(&mut self) -> Fault {
        let number = self.seen;
        self.seen += 1;
        if self.share.is_some_and(|(of, which)| number % of != which) {
            return Fault::None;
        }
        self.left = self.left.map(|left| left - 1);
        self.fault.clone()
    }
}
