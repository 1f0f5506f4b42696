//! Keys that sign records, and the files they are kept in.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use cache_core::Digest;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

const PUBLIC: &str = "ed25519:";
const SECRET: &str = "ed25519-secret:";

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is no public key.
    #[error("not a public key: `{PUBLIC}` and 64 hexadecimal digits of a point on the curve")]
    NotPublic,
    /// The text is no secret key. It is not repeated here.
    #[error("not a secret key: one line of `{SECRET}` and 64 hexadecimal digits")]
    NotSecret,
    /// There is a file of this name, and a key that was replaced could not be had back.
    #[error("{} is there already; remove it, or name another file", .0.display())]
    Exists(PathBuf),
    /// What the system said.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("no random bytes: {0}")]
    NoRandomness(String),
}

impl KeyError {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Says whose signature counts. Its text, such as `ed25519:d75a98…`, may be shown to anybody.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Whether the signature of this digest is of this key, by the strict rules: one signature has
    /// one encoding, and weak keys sign nothing.
    pub(super) fn has_signed(&self, digest: &Digest, signature: &[u8; 64]) -> bool {
        self.0.verify_strict(digest.as_bytes(), &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", Digest::from_bytes(*self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    /// Reads what [`Display`](fmt::Display) writes; space around it does not matter.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let hex = text.trim().strip_prefix(PUBLIC).ok_or(KeyError::NotPublic)?;
        let bytes: Digest = hex.parse().map_err(|_| KeyError::NotPublic)?;
        let key = VerifyingKey::from_bytes(bytes.as_bytes()).map_err(|_| KeyError::NotPublic)?;
        if key.is_weak() { Err(KeyError::NotPublic) } else { Ok(Self(key)) }
    }
}

/// Signs records. Wiped from memory when it is dropped, and never shown.
///
/// # Its file
///
/// Text: lines that are empty or begin with `#` are skipped, and one other line has
/// `ed25519-secret:` and the seed (RFC 8032, 5.1.5) as 64 hexadecimal digits. Only its owner may
/// read it. The same line may come from elsewhere, such as a variable that a CI system sets.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

impl SecretKey {
    /// The key of this seed, which must be secret and random.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// A new key, from the system's random bytes.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| KeyError::NoRandomness(error.to_string()))?;
        Ok(Self::from_seed(&seed))
    }

    /// What readers need to know its signatures.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(super) fn sign(&self, digest: &Digest) -> [u8; 64] {
        self.0.sign(digest.as_bytes()).to_bytes()
    }

    /// Reads a key's file.
    ///
    /// # Errors
    /// [`KeyError::Io`], and [`KeyError::NotSecret`] when the file is something else.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Io { path: path.into(), source };
        String::from_utf8(fs::read(path).map_err(failed)?).map_err(|_| KeyError::NotSecret)?.parse()
    }

    /// Writes the key to a new file, that only its owner may read, and makes the directories above.
    ///
    /// # Errors
    /// [`KeyError::Exists`]: no key is ever replaced. [`KeyError::Io`]; then there is no file.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        use std::os::unix::fs::OpenOptionsExt;
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyError::Exists(path.into()),
            _ => KeyError::Io { path: path.into(), source },
        };
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        above
            .map_or(Ok(()), fs::create_dir_all)
            .map_err(|source| KeyError::Io { path: above.unwrap_or(path).into(), source })?;
        let mut options = File::options();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let seed = Digest::from_bytes(self.0.to_bytes());
        let text = format!(
            "# Signs what larder stores. Keep it secret. Those who trust it need its public key:\n\
             # {}\n{SECRET}{seed}\n",
            self.public()
        );
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|source| {
            let _ = fs::remove_file(path);
            failed(source)
        })
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    /// Reads the text of a key's file, or its one line alone.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let lines = text.lines().map(str::trim);
        let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return Err(KeyError::NotSecret);
        };
        let hex = line.strip_prefix(SECRET).ok_or(KeyError::NotSecret)?;
        let seed: Digest = hex.parse().map_err(|_| KeyError::NotSecret)?;
        Ok(Self::from_seed(seed.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// RFC 8032, 7.1, test 1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const POINT: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    #[test]
    fn keys_are_those_of_the_rfc() {
        let key: SecretKey = format!("ed25519-secret:{SEED}").parse().unwrap();
        assert_eq!(key.public().to_string(), format!("ed25519:{POINT}"));
        assert_eq!(format!(" ed25519:{POINT}\n").parse::<PublicKey>().unwrap(), key.public());
        let digest = Digest::of(b"any");
        let signature = key.sign(&digest);
        assert!(key.public().has_signed(&digest, &signature));
        assert!(!key.public().has_signed(&Digest::of(b"other"), &signature));
        let other = SecretKey::from_seed(&[1; 32]).public();
        assert!(!other.has_signed(&digest, &signature));
    }

    #[test]
    fn a_file_keeps_a_key_for_its_owner_alone_and_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/key");
        let (key, other) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        assert_ne!(key.public(), other.public());
        key.write_new(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SecretKey::read(&path).unwrap().public(), key.public());
        assert!(fs::read_to_string(&path).unwrap().contains(&key.public().to_string()));
        assert!(matches!(other.write_new(&path), Err(KeyError::Exists(_))));
        assert_eq!(SecretKey::read(&path).unwrap().public(), key.public());
    }

    #[test]
    fn other_texts_are_no_keys_and_secrets_are_not_shown() {
        let secret = format!("ed25519-secret:{SEED}");
        for bad in ["", "# only this", SEED, &secret[..70], &format!("{secret}\n{secret}")] {
            assert!(matches!(bad.parse::<SecretKey>(), Err(KeyError::NotSecret)), "{bad}");
        }
        // The neutral element: a key for which anybody can sign.
        let weak = format!("ed25519:01{}", "0".repeat(62));
        for bad in ["", POINT, &secret, &weak, &format!("ed25519:{}", "2".repeat(63))] {
            assert!(matches!(bad.parse::<PublicKey>(), Err(KeyError::NotPublic)), "{bad}");
        }
        let key: SecretKey = secret.parse().unwrap();
        assert!(!format!("{key:?}").contains(&SEED[..8]));
        let dir = tempfile::tempdir().unwrap();
        let absent = SecretKey::read(&dir.path().join("absent"));
        assert!(matches!(absent, Err(error) if error.is_absent()));
    }
}
