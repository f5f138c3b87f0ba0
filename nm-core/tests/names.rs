//! Every form of netmap's port names that is not supported is refused as what it is, and the error says what is supported.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test ends here when it fails")]

use nm_core::name::{Feature, NameError, PortName};

/// The grammar of libnetmap: IF, a pipe, one selection of rings, flags behind `/`, and behind `@` a memory region or options.
#[test]
fn netmaps_grammar_is_recognised() {
    let unsupported = |name: &str, feature| NameError::Unsupported { name: name.into(), feature };
    let combined = |name: &str, first, second| NameError::Combined { name: name.into(), first, second };
    for error in [
        unsupported("netmap:em0-1/R", Feature::OneDirection),
        unsupported("netmap:em0-1/RT", Feature::OneDirection),
        unsupported("netmap:em0^/T", Feature::OneDirection),
        unsupported("netmap:em0*/x", Feature::Exclusive),
        unsupported("netmap:em0{1/z", Feature::Pipe),
        unsupported("netmap:em0-1@3", Feature::MemoryRegion),
        unsupported("netmap:em0@conf:rings=1", Feature::Options),
        unsupported("netmap:vale0:1", Feature::Vale),
        unsupported("vale0:1", Feature::Vale),
        combined("netmap:em0-1{2", '-', '{'),
    ] {
        let (NameError::Unsupported { name, .. } | NameError::Combined { name, .. }) = &error else {
            continue;
        };
        assert_eq!(PortName::parse(name), Err(error.clone()));
        let text = error.to_string();
        assert!(text.contains(name.as_str()) && text.ends_with("use IF, IF-N, IF^, IF^N or IF*"), "{text}");
    }
}
