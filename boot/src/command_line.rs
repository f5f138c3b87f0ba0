//! The command line as words `key=value`.
//!
//! Words are separated by blanks (space, tab, line end). A value with blanks is quoted, either as `key="a b"`
//! or, as GRUB rewrites it, as `"key=a b"`. A quote opens a word or its value and ends with the word; there
//! are no escapes, so a value cannot contain a quote. A word is printable UTF-8 of at most [`MAX_WORD`]
//! bytes.
//!
//! What the keys mean is none of this module's business.

use core::fmt;

/// Longest command line that is taken from a loader, in bytes without the end mark. QEMU's loader for PVH on `pc` and `q35`
/// keeps so many bytes free, and writes longer ones over what it hands over.
pub const MAX_LINE: usize = 4096;

/// Longest word, quotes included, in bytes.
pub const MAX_WORD: usize = 1024;

/// How much of a bad word an error shows, in bytes.
const SHOWN: usize = 40;

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'a> {
    /// What is set: not empty, no `=` in it.
    pub key: &'a str,
    /// To what; may be empty.
    pub value: &'a str,
}

/// What is wrong with a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A quote is opened and never closed.
    UnclosedQuote,
    /// A quote where none can be: inside an unquoted word, or with text behind its end.
    StrayQuote,
    /// There is no `=`.
    NoValue,
    /// There is nothing in front of the `=`.
    NoKey,
    /// Longer than [`MAX_WORD`] bytes.
    TooLong,
    /// A control character, or not UTF-8.
    NotText,
}

/// A word that is no setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WordError<'a> {
    /// The word as it stands on the command line.
    pub word: &'a [u8],
    /// What is wrong with it.
    pub fault: Fault,
}

impl fmt::Display for WordError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("command line: word ")?;
        match self.word.get(..SHOWN) {
            Some(head) if self.word.len() > SHOWN => {
                write!(f, "`{}…` ({} bytes)", Typed(head), self.word.len())?;
            }
            _ => write!(f, "`{}`", Typed(self.word))?,
        }
        match self.fault {
            Fault::UnclosedQuote => f.write_str(" has a quote that is never closed"),
            Fault::StrayQuote => {
                f.write_str(" has a quote in the middle; allowed: key=\"a b\" and \"key=a b\"")
            }
            Fault::NoValue => f.write_str(" has no `=`; every word is key=value"),
            Fault::NoKey => f.write_str(" has no key in front of its `=`"),
            Fault::TooLong => write!(f, " is too long; a word has at most {MAX_WORD} bytes"),
            Fault::NotText => f.write_str(" has a control character or is not UTF-8"),
        }
    }
}

impl core::error::Error for WordError<'_> {}

/// Bytes as they were typed, those that cannot be shown escaped.
struct Typed<'a>(&'a [u8]);

impl fmt::Display for Typed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match byte {
            b' '..=b'~' => write!(f, "{}", char::from(*byte)),
            _ => write!(f, "{}", byte.escape_ascii()),
        })
    }
}

/// The words of a command line, in order; after the first bad word there are none.
pub fn words(line: &[u8]) -> Words<'_> {
    Words { rest: line }
}

/// Iterator over the words of a command line, made by [`words`].
#[derive(Debug, Clone)]
pub struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Words<'a> {
    type Item = Result<Word<'a>, WordError<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.rest.trim_ascii_start();
        if line.is_empty() {
            return None;
        }
        let (word, rest) = line.split_at_checked(extent(line)).unwrap_or((line, &[]));
        let outcome = parse(word);
        self.rest = if outcome.is_ok() { rest } else { &[] };
        Some(outcome.map_err(|fault| WordError { word, fault }))
    }
}

/// How many bytes the word at the start of `line` has: up to the first blank that is not between quotes.
fn extent(line: &[u8]) -> usize {
    let mut is_quoted = false;
    let end = line.iter().position(|&byte| {
        is_quoted ^= byte == b'"';
        byte.is_ascii_whitespace() && !is_quoted
    });
    end.unwrap_or(line.len())
}

fn parse(word: &[u8]) -> Result<Word<'_>, Fault> {
    if word.len() > MAX_WORD {
        return Err(Fault::TooLong);
    }
    let text = str::from_utf8(word).map_err(|_| Fault::NotText)?;
    if text.chars().any(char::is_control) {
        return Err(Fault::NotText);
    }
    if text.matches('"').count() % 2 == 1 {
        return Err(Fault::UnclosedQuote);
    }
    let (key, value) = match unquote(text)? {
        Some(inside) => inside.split_once('=').ok_or(Fault::NoValue)?,
        None => {
            let (key, value) = text.split_once('=').ok_or(Fault::NoValue)?;
            (key, unquote(value)?.unwrap_or(value))
        }
    };
    if key.contains('"') || value.contains('"') {
        return Err(Fault::StrayQuote);
    }
    if key.is_empty() { Err(Fault::NoKey) } else { Ok(Word { key, value }) }
}

/// What is between the quotes of a text that begins with one; `None` when it does not.
fn unquote(text: &str) -> Result<Option<&str>, Fault> {
    match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').map(Some).ok_or(Fault::StrayQuote),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;
    use std::{format, vec};

    use proptest::prelude::*;

    use super::*;

    fn pairs(line: &str) -> Vec<(&str, &str)> {
        words(line.as_bytes()).map(|word| word.map(|w| (w.key, w.value)).unwrap()).collect()
    }

    fn fault(line: &[u8]) -> (Fault, String) {
        let error = words(line).find_map(Result::err).unwrap();
        (error.fault, error.to_string())
    }

    #[test]
    fn splits_words_at_blanks() {
        assert_eq!(pairs(""), []);
        assert_eq!(pairs(" \t\r\n"), []);
        assert_eq!(pairs(" a=1\tb=2 \n c="), [("a", "1"), ("b", "2"), ("c", "")]);
        assert_eq!(pairs("a==b=c"), [("a", "=b=c")]);
        assert_eq!(pairs("ä=ö"), [("ä", "ö")]);
    }

    #[test]
    fn takes_both_ways_of_quoting() {
        assert_eq!(pairs(r#"a="x y" b=2"#), [("a", "x y"), ("b", "2")]);
        assert_eq!(pairs(r#""a=x y" b=2"#), [("a", "x y"), ("b", "2")]);
        assert_eq!(pairs(r#"a="" "b=""#), [("a", ""), ("b", "")]);
        assert_eq!(pairs(r#"a="b=c d""#), [("a", "b=c d")]);
    }

    #[test]
    fn names_the_word_and_its_fault() {
        let cases: [(&[u8], Fault, &str); 9] = [
            (b"a=1 b=\"x y", Fault::UnclosedQuote, "`b=\"x y`"),
            (b"\"", Fault::UnclosedQuote, "`\"`"),
            (b"a=x\"y\"", Fault::StrayQuote, "`a=x\"y\"`"),
            (b"a=\"x\"y", Fault::StrayQuote, "`a=\"x\"y`"),
            (b"\"a\"=b", Fault::StrayQuote, "`\"a\"=b`"),
            (b"quiet a=1", Fault::NoValue, "`quiet`"),
            (b"=1", Fault::NoKey, "`=1`"),
            (b"a=\x07", Fault::NotText, "`a=\\x07`"),
            (b"a=\xff", Fault::NotText, "`a=\\xff`"),
        ];
        for (line, expected, shown) in cases {
            let (fault, text) = fault(line);
            assert_eq!(fault, expected, "{text}");
            assert!(text.contains(shown), "{text}");
        }
    }

    #[test]
    fn shortens_a_long_word_and_tells_its_length() {
        let (kind, text) = fault(&[b'x'; 3000]);
        assert_eq!(kind, Fault::TooLong);
        assert!(text.contains("xxx…` (3000 bytes)"), "{text}");
        assert!(text.len() < 150, "{text}");
        let longest = format!("a={}", "x".repeat(MAX_WORD - 2));
        assert_eq!(pairs(&longest).len(), 1);
        assert_eq!(fault(format!("{longest}x").as_bytes()).0, Fault::TooLong);
    }

    #[test]
    fn stops_at_the_first_bad_word() {
        assert_eq!(words(b"bad a=1").count(), 1);
    }

    proptest! {
        #[test]
        fn never_panics(line in prop::collection::vec(any::<u8>(), 0..200)) {
            for word in words(&line) {
                if let Err(error) = word {
                    prop_assert!(error.to_string().is_ascii() || error.word.len() > SHOWN);
                }
            }
        }

        #[test]
        fn never_panics_on_quotes(line in r#"[a= "\t]{0,40}"#) {
            prop_assert!(words(line.as_bytes()).count() <= 40);
        }

        /// What is written with either quoting is read back, whatever the blanks between the words.
        #[test]
        fn quoting_round_trip(
            settings in prop::collection::vec(("[a-z._]{1,8}", "[ -!#-~]{0,12}", any::<bool>(), "[ \t]{1,3}"), 0..10)
        ) {
            let mut line = String::new();
            for (key, value, is_whole, blanks) in &settings {
                line += &if *is_whole { format!("\"{key}={value}\"") } else { format!("{key}=\"{value}\"") };
                line += blanks;
            }
            let expected: Vec<_> = settings.iter().map(|(k, v, ..)| (k.as_str(), v.as_str())).collect();
            prop_assert_eq!(pairs(&line), expected);
        }

        #[test]
        fn unquoted_round_trip(settings in prop::collection::vec(("[a-z._]{1,8}", "[!#-~]{0,12}"), 0..10)) {
            let line = settings.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ");
            let expected: Vec<_> = settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            prop_assert_eq!(pairs(&line), if settings.is_empty() { vec![] } else { expected });
        }
    }
}
