//! Paths and names in the arguments of macros, which are tokens without a syntax of their own.

use proc_macro2::{Spacing, TokenStream, TokenTree};

/// The paths in `tokens`, at any depth. A field, a method, a lifetime, a name of a macro's own (`$x`) and the name in
/// `name = value` are none.
pub(super) fn paths(tokens: TokenStream) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    collect(tokens, &mut found);
    found
}

fn collect(tokens: TokenStream, found: &mut Vec<Vec<String>>) {
    let mut tokens = tokens.into_iter().peekable();
    // The punctuation in front of the next token.
    let mut before = None;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => {
                collect(group.stream(), found);
                before = None;
            }
            TokenTree::Punct(punct) => before = Some(punct.as_char()),
            TokenTree::Literal(_) => before = None,
            TokenTree::Ident(first) => {
                let mut path = vec![first.to_string()];
                while is_joint(tokens.peek(), ':') {
                    tokens.next();
                    tokens.next();
                    let Some(TokenTree::Ident(next)) = tokens.peek() else { break };
                    path.push(next.to_string());
                    tokens.next();
                }
                let is_own = before == Some('$') && first != "crate";
                let is_label = path.len() == 1 && is_alone(tokens.peek(), '=');
                if !is_own && !is_label && !matches!(before, Some('.' | '\'')) {
                    found.push(path);
                }
                before = None;
            }
        }
    }
}

/// The names that `tokens` define as items, at the outer level: `bitflags! { struct Name … }`.
pub(super) fn defined(tokens: TokenStream) -> Vec<String> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let keyword = |token: &TokenTree| match token {
        TokenTree::Ident(ident) => ident.to_string(),
        _ => String::new(),
    };
    let mut found = Vec::new();
    for window in tokens.windows(3) {
        let [first, TokenTree::Ident(name), after] = window else { continue };
        let is_item = match keyword(first).as_str() {
            "struct" | "enum" | "union" | "trait" | "fn" | "type" => true,
            "const" | "static" => is_alone(Some(after), ':'),
            _ => false,
        };
        if is_item {
            found.push(name.to_string());
        }
    }
    found
}

fn is_joint(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character && punct.spacing() == Spacing::Joint)
}

fn is_alone(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character && punct.spacing() == Spacing::Alone)
}
