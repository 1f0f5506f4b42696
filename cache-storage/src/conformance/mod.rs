//! The contract of [`Store`] as a program.
//!
//! A backend runs it from its own tests:
//!
//! ```
//! # use cache_storage::MemoryStore;
//! let store = MemoryStore::new();
//! futures::executor::block_on(cache_storage::conformance::all(&store));
//! ```
//!
//! or, for one test per rule, goes through [`CHECKS`]. Checks need no empty store: they use keys
//! that nobody else has, and remove what they stored, unless they fail. They adapt to the store's
//! capabilities: of a store that cannot write, only reading and refusing are checked; of one where
//! the last write wins, no contest between writers; of one whose records cannot be listed, that it
//! says so.
//!
//! What fails is told by the rule's name, what was done, what the contract promises and what the
//! store did; every rule stands in the documentation of [`Store`]. [`CHECKS`] begins with the simple
//! ones, so the first that is broken often explains the others.
//!
//! Races are run in threads, each with an executor of its own; for a store that is `remote`, whose
//! futures may need the runtime they were made in, as concurrent futures on the caller's.

mod blobs;
mod files;
mod races;
mod records;
mod tools;

use futures::future::BoxFuture;

use crate::Store;

/// What a store did against a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

/// What a check found.
pub type Verdict = Result<(), Violation>;

/// What a check needs of a store, else it is skipped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Needs {
    Nothing,
    ReadOnly,
    Write,
    Swap,
    List,
    Unlisted,
    Files,
}

/// One rule of the contract.
#[derive(Clone, Copy)]
pub struct Check {
    name: &'static str,
    needs: Needs,
    run: for<'a> fn(&'a dyn Store) -> BoxFuture<'a, Verdict>,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check")
            .field("name", &self.name)
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}

impl Check {
    /// The rule's name, such as `stale_revision_conflicts`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the rule says anything about a store of these capabilities.
    #[must_use]
    pub fn applies_to(&self, store: &dyn Store) -> bool {
        let can = store.capabilities();
        match self.needs {
            Needs::Nothing => true,
            Needs::ReadOnly => !can.write,
            Needs::Write => can.write,
            Needs::Swap => can.write && !can.last_write_wins,
            Needs::List => can.write && !can.unlisted,
            Needs::Unlisted => can.unlisted,
            Needs::Files => can.write && can.files,
        }
    }

    /// Runs the check; nothing to find where it does not apply.
    ///
    /// # Errors
    /// What the store did against the rule.
    pub async fn run(&self, store: &dyn Store) -> Verdict {
        if self.applies_to(store) { (self.run)(store).await } else { Ok(()) }
    }
}

macro_rules! checks {
    ($($needs:ident $module:ident::$name:ident,)*) => {
        &[$(Check {
            name: stringify!($name),
            needs: Needs::$needs,
            run: |store| Box::pin($module::$name(store)),
        }),*]
    };
}

/// Every rule.
pub const CHECKS: &[Check] = checks![
    Nothing records::absent_record_is_none,
    Nothing blobs::absent_blob_is_absent,
    Nothing files::files_are_as_declared,
    ReadOnly records::read_only_store_refuses_writes,
    Write records::record_comes_back_as_written,
    Write records::creating_conflicts_with_what_is_there,
    Write records::replacing_needs_the_current_revision,
    Write records::replacing_what_is_absent_conflicts,
    Write records::deleted_record_is_absent,
    List records::list_has_what_was_written,
    Unlisted records::unlisted_store_says_so,
    Write blobs::blob_comes_back_as_written,
    Write blobs::empty_blob_is_a_blob,
    Write blobs::big_blob_in_odd_pieces,
    Write blobs::wrong_digest_is_refused,
    Write blobs::wrong_length_is_refused,
    Write blobs::failing_stream_stores_nothing,
    Write blobs::writing_a_blob_again_succeeds,
    Write blobs::contains_answers_in_order,
    Write blobs::contains_takes_any_number,
    Write blobs::size_is_told_right_or_not_at_all,
    Write blobs::deleted_blob_is_absent,
    Write blobs::deleting_does_not_disturb_readers,
    Write blobs::readers_go_at_their_own_pace,
    Write blobs::dropped_write_stores_nothing,
    Write blobs::records_and_blobs_do_not_mix,
    Swap races::one_of_many_creators_wins,
    Swap races::one_of_many_replacers_wins,
    Swap races::appending_loses_nothing,
    Write races::readers_never_see_parts_of_a_record,
    Write races::readers_never_see_parts_of_a_blob,
    Write races::many_writers_of_one_blob_succeed,
    List races::listing_goes_on_during_writes,
    Files files::private_file_has_an_inode_of_its_own,
    Files files::private_file_is_stamped_now,
    Files files::private_file_can_be_edited,
    Files files::linked_file_has_the_bytes,
    Files files::placing_replaces_what_is_there,
    Files files::placing_what_is_absent_changes_nothing,
    Files files::placing_leaves_nothing_else,
    Files files::adopted_file_is_a_blob,
    Files files::adopting_wrong_bytes_is_refused,
    Files files::pin_needs_a_record,
    Files files::digest_of_a_file_follows_its_content,
];

/// Runs every check that applies.
///
/// # Panics
/// When the store breaks a rule, with the names of all rules broken and what it did.
pub async fn all(store: &dyn Store) {
    let mut broken = Vec::new();
    for check in CHECKS {
        if let Err(violation) = check.run(store).await {
            broken.push(format!("  {}: {violation}", check.name()));
        }
    }
    assert!(broken.is_empty(), "{store:?} breaks the contract of a store:\n{}", broken.join("\n"));
}
