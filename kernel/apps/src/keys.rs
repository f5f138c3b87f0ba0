//! Tables of configuration keys.
//!
//! The keys of one owner (the machine, or an application) are the fields of a struct that [`keys!`](macro@crate::keys) defines. Each
//! field has its name on the command line, its type, its default and its help in one place. The type says which values there are.
//! From that one table come the parser, its error messages, the console's `keys` command and the table in README.
//!
//! ```text
//! keys! {                                          Keys::set("mtu", "9000")     parse and check
//!     /// … help …                         ──►     Keys::describe()             name, values, default, help
//!     "mtu" mtu: Option<Mtu> = None, "1500";       Default::default()
//! }
//! ```

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;

use nm_core::name::PortName;

/// A type of values that a key can have.
pub trait Value: Sized {
    /// The values that there are, for help and error messages: `1 to 64`.
    fn values() -> String;

    /// The value that `text` stands for.
    ///
    /// # Errors
    /// Why `text` is not a value; usually [`not_allowed`].
    fn parse(text: &str) -> Result<Self, String>;
}

/// A field of a configuration that a key sets.
pub trait Field {
    /// Whether the key may be given more than once.
    const REPEATS: bool = false;

    /// The values that there are, for help and error messages.
    fn values() -> String;

    /// Takes a value. `name` is what stands for `NAME` in a key whose name ends in `NAME`, else empty.
    ///
    /// # Errors
    /// Why `text` is not a value.
    fn set(&mut self, name: &str, text: &str) -> Result<(), String>;
}

impl<T: Value> Field for T {
    fn values() -> String {
        T::values()
    }

    fn set(&mut self, _name: &str, text: &str) -> Result<(), String> {
        *self = T::parse(text)?;
        Ok(())
    }
}

/// A key without a value of its own has the default that its help names.
impl<T: Value> Value for Option<T> {
    fn values() -> String {
        T::values()
    }

    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }
}

impl Value for bool {
    fn values() -> String {
        "on, off".to_string()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(not_allowed::<Self>()),
        }
    }
}

/// A number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Bounded<MIN, MAX> {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> Value for Bounded<MIN, MAX> {
    fn values() -> String {
        format!("{MIN} to {MAX}")
    }

    fn parse(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| (MIN..=MAX).contains(number));
        number.map(Self).ok_or_else(not_allowed::<Self>)
    }
}

/// The name of a port, as netmap has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortKey(String);

impl PortKey {
    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl Value for PortKey {
    fn values() -> String {
        "name of a port".to_string()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let checked = PortName::parse(text).map_err(|error| bounded_message(&error));
        checked.map(|_| Self(text.to_string()))
    }
}

/// Names with blanks between them, for messages that list what is allowed.
#[inline(never)]
pub(crate) fn list(names: &mut dyn Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(" ")
}

/// The error message for an invalid value of a key of type `T`: the allowed values.
pub fn not_allowed<T: Field>() -> String {
    format!("allowed: {}", T::values())
}

/// One key of the table of `C`.
#[derive(Debug)]
pub struct Key<C> {
    /// Its name. One that ends in `NAME` stands for a family of keys.
    pub name: &'static str,
    /// Its default, as help shows it.
    pub default: &'static str,
    /// What it is for: the lines of its documentation.
    pub help: &'static str,
    /// Whether it may be given more than once.
    pub repeats: bool,
    /// The values that there are.
    pub values: fn() -> String,
    /// Stores a value: of the name behind a family's prefix, and of the text.
    pub set: fn(&mut C, &str, &str) -> Result<(), String>,
}

/// One key as help shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHelp {
    /// Its name.
    pub name: &'static str,
    /// The values that there are.
    pub values: String,
    /// Its default.
    pub default: &'static str,
    /// What it is for.
    pub help: &'static str,
}

/// A configuration whose fields are keys: what [`keys!`](macro@crate::keys) defines.
pub trait Keys: Sized + 'static {
    /// The table, in the order of help.
    const KEYS: &'static [Key<Self>];

    /// Whether this key may be given more than once; `None` if the table does not have it.
    fn repeats(key: &str) -> Option<bool> {
        find::<Self>(key).map(|(entry, _)| entry.repeats)
    }

    /// Sets a key; `None` if the table does not have it.
    fn set(&mut self, key: &str, value: &str) -> Option<Result<(), String>> {
        let (entry, name) = find::<Self>(key)?;
        Some((entry.set)(self, name, value))
    }

    /// All keys as help shows them.
    fn describe() -> Vec<KeyHelp> {
        let describe = |key: &Key<Self>| KeyHelp {
            name: key.name,
            values: (key.values)(),
            default: key.default,
            help: key.help.trim_ascii(),
        };
        Self::KEYS.iter().map(describe).collect()
    }
}

/// The entry of a key, and its name in the family if the entry is one.
fn find<C: Keys>(key: &str) -> Option<(&'static Key<C>, &str)> {
    C::KEYS.iter().find_map(|entry| match entry.name.strip_suffix("NAME") {
        Some(prefix) => key.strip_prefix(prefix).map(|name| (entry, name)),
        None => (entry.name == key).then_some((entry, "")),
    })
}

/// Defines a configuration: for each key its help, its name, its field, the field's type, the default, and the default as help
/// shows it.
#[macro_export]
macro_rules! keys {
    (
        $(#[$meta:meta])*
        pub struct $config:ident {
            $($(#[doc = $help:literal])+ $name:literal $field:ident: $type:ty = $default:expr, $shown:literal;)+
        }
    ) => {
        $(#[$meta])*
        pub struct $config {
            $($(#[doc = $help])+ pub $field: $type,)+
        }

        impl Default for $config {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $crate::keys::Keys for $config {
            const KEYS: &'static [$crate::keys::Key<Self>] = &[$($crate::keys::Key {
                name: $name,
                default: $shown,
                help: concat!($($help),+),
                repeats: <$type as $crate::keys::Field>::REPEATS,
                values: <$type as $crate::keys::Field>::values,
                set: |config, name, text| $crate::keys::Field::set(&mut config.$field, name, text),
            },)+];
        }
    };
}

/// Characters of a text from outside that a message repeats.
const SHOWN_MAX: usize = 60;

/// A text from outside, fit for a message: control characters escaped, cut where it is long.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.chars().take(SHOWN_MAX).try_for_each(|c| write!(f, "{}", c.escape_debug()))?;
        match self.0.chars().nth(SHOWN_MAX) {
            Some(_) => write!(f, "… ({} bytes)", self.0.len()),
            None => Ok(()),
        }
    }
}

/// An error that repeats a value from outside, as a message of bounded length.
pub(crate) fn bounded_message(error: &dyn Display) -> String {
    let text = error.to_string();
    if text.chars().count() <= 2 * SHOWN_MAX { text } else { Escaped(&text).to_string() }
}
