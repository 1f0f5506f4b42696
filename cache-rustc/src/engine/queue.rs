//! Waiting for the same action in another process, with the job token given back meanwhile.

use std::path::Path;

use cache_core::Digest;

use super::flight::{self, Boarding, Flight};
use super::jobserver::JobToken;

/// Waits for an action that another process is at, and looks for its outcome again with `hit`, which
/// says whether it was restored.
///
/// # Errors
/// The action is to be executed, with the flight where there is one and the job token in hand.
pub(super) fn wait(
    flights: &Path,
    action: &Digest,
    token: &mut JobToken<'_>,
    hit: &mut dyn FnMut() -> bool,
) -> Result<(), Option<Flight>> {
    loop {
        let flight = match flight::board(flights, action, token) {
            Boarding::Alone => {
                token.take();
                return Err(None);
            }
            Boarding::Lead(flight) | Boarding::After(flight) => flight,
        };
        if hit() {
            // Restored while it had no token; it must not end without. Others wait for the flight.
            drop(flight);
            token.take();
            return Ok(());
        }
        if token.take_at_once() {
            return Err(Some(flight));
        }
        // Others wait for the flight: it is not held while waiting for a token.
        drop(flight);
        token.take();
    }
}
