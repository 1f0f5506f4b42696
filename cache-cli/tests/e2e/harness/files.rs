//! Projects as lists of files.

/// A project: paths and contents. Later entries win.
#[derive(Clone, Default)]
pub(crate) struct Files(pub(crate) Vec<(String, String)>);

impl Files {
    /// Adds or replaces a file.
    pub(crate) fn with(mut self, path: &str, content: &str) -> Self {
        self.0.retain(|(known, _)| known != path);
        self.0.push((path.into(), content.into()));
        self
    }

    /// Adds a package's manifest; `rest` follows the `[package]` table.
    pub(crate) fn package(self, dir: &str, name: &str, rest: &str) -> Self {
        let path = if dir.is_empty() { "Cargo.toml".into() } else { format!("{dir}/Cargo.toml") };
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{rest}"
        );
        self.with(&path, &manifest)
    }
}

/// A workspace of three: `app` (a program) uses `mid`, which uses `leaf`.
pub(crate) fn app() -> Files {
    Files::default()
        .package(
            "",
            "app",
            "[dependencies]\nmid = { path = \"mid\" }\n[workspace]\nmembers = [\"mid\", \"leaf\"]\n",
        )
        .with("src/main.rs", "fn main() { println!(\"app 1, {}\", mid::text()); }\n")
        .package("mid", "mid", "[dependencies]\nleaf = { path = \"../leaf\" }\n")
        .with("mid/src/lib.rs", "pub fn text() -> String { format!(\"mid 1, {}\", leaf::text()) }\n")
        .package("leaf", "leaf", "")
        .with("leaf/src/lib.rs", "pub fn text() -> &'static str { \"leaf 1\" }\n")
}

/// A package with a library `one` of this source, and a program `app` that prints `one::text()`.
pub(crate) fn one_lib(source: &str) -> Files {
    Files::default()
        .package(
            "",
            "app",
            "[dependencies]\none = { path = \"one\" }\n[workspace]\nmembers = [\"one\"]\n",
        )
        .with("src/main.rs", "fn main() { println!(\"{}\", one::text()); }\n")
        .package("one", "one", "")
        .with("one/src/lib.rs", source)
}

/// [`one_lib`] that may use the macros of `reader` and `greedy`, which read the world behind rustc's back:
/// `file!`-like macros that expand to a string of what they found.
pub(crate) fn macros(source: &str) -> Files {
    one_lib(source)
        .package("one", "one", MACRO_CRATES)
        .package("reader", "reader", "[lib]\nproc-macro = true\n")
        .with("reader/src/lib.rs", READER)
        .package("greedy", "greedy", "[lib]\nproc-macro = true\n")
        .with("greedy/src/lib.rs", GREEDY)
}

const MACRO_CRATES: &str =
    "[dependencies]\nreader = { path = \"../reader\" }\ngreedy = { path = \"../greedy\" }\n";

/// Reads the environment as a whole. In a crate of its own, as whoever can do that makes all of it
/// count.
const GREEDY: &str = r##"
use proc_macro::{Literal, TokenStream, TokenTree};

/// All variables whose names start with a prefix.
#[proc_macro]
pub fn variables(input: TokenStream) -> TokenStream {
    let prefix = input.to_string().trim_matches('"').to_string();
    let mut all: Vec<_> = std::env::vars()
        .filter(|(name, _)| name.starts_with(&prefix))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    all.sort();
    TokenStream::from(TokenTree::from(Literal::string(&all.join(","))))
}
"##;

const READER: &str = r##"
use proc_macro::{Literal, TokenStream, TokenTree};

fn arg(input: TokenStream) -> String {
    input.to_string().trim_matches('"').to_string()
}

fn string(text: String) -> TokenStream {
    TokenStream::from(TokenTree::from(Literal::string(&text)))
}

fn here(name: &str) -> std::path::PathBuf {
    std::path::Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join(name)
}

/// The content of a file of the package.
#[proc_macro]
pub fn content(input: TokenStream) -> TokenStream {
    string(std::fs::read_to_string(here(&arg(input))).unwrap_or_else(|_| "no file".into()))
}

/// The names in a directory of the package.
#[proc_macro]
pub fn names(input: TokenStream) -> TokenStream {
    let mut names: Vec<_> = std::fs::read_dir(here(&arg(input)))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    string(names.join(","))
}

/// Whether a file of the package exists.
#[proc_macro]
pub fn exists(input: TokenStream) -> TokenStream {
    string(if here(&arg(input)).exists() { "there".into() } else { "not there".into() })
}

/// The value of a variable.
#[proc_macro]
pub fn variable(input: TokenStream) -> TokenStream {
    string(std::env::var(arg(input)).unwrap_or_else(|_| "unset".into()))
}

/// The directory of the package.
#[proc_macro]
pub fn place(_: TokenStream) -> TokenStream {
    string(std::env::var("CARGO_MANIFEST_DIR").unwrap())
}

/// Takes its time, in milliseconds.
#[proc_macro]
pub fn slow(input: TokenStream) -> TokenStream {
    std::thread::sleep(std::time::Duration::from_millis(arg(input).parse().unwrap()));
    TokenStream::new()
}
"##;
