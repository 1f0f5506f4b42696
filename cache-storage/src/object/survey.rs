//! What a person wants to know of a store before relying on it.

use object_store::ObjectStore;

use super::ObjectStoreBackend;
use super::ask::ask;
use super::blame::Doing;
use crate::Result;

impl ObjectStoreBackend {
    /// The option, variable or file entry that says who asks, where one of them does. Credentials that a
    /// service of the machine gives have none.
    #[must_use]
    pub fn credentials_from(&self) -> Option<&str> {
        self.blame.credentials_from()
    }

    /// Names directly below the prefix that are not this version's, sorted: other programs' objects and
    /// directories, and those of versions that name them otherwise. They are left alone.
    ///
    /// For maintenance: it lists what is there.
    ///
    /// # Errors
    /// What the server says; not every one lists, or lists for everybody.
    pub async fn neighbours(&self) -> Result<Vec<String>> {
        self.runtime.enter(Box::pin(self.list_neighbours())).await
    }

    async fn list_neighbours(&self) -> Result<Vec<String>> {
        let prefix = self.layout.prefix();
        let above = (!prefix.as_ref().is_empty()).then_some(prefix);
        let listed = match ask(self.store.list_with_delimiter(above)).await {
            Ok(listed) => listed,
            Err(failure) if failure.is_absent() => return Ok(Vec::new()),
            Err(failure) => return Err(failure.explain(&self.blame, Doing::Reading, "listing")),
        };
        let objects = listed.objects.into_iter().map(|object| object.location);
        let all = listed.common_prefixes.into_iter().chain(objects);
        let mut names: Vec<String> = all
            .filter(|path| path != prefix && *path != self.layout.version())
            .filter_map(|path| path.filename().map(str::to_owned))
            .collect();
        names.sort();
        Ok(names)
    }
}
