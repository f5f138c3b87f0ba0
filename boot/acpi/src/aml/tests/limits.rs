//! Names and values made to cost as much as possible.

use super::arena::Arena;
use super::code::Code;
use super::name::NameString;
use super::value::Variable;
use super::*;

/// A NameString of so many segments, numbered from `first` on.
fn long_name(first: usize, segments: usize) -> Vec<u8> {
    let names = (first..first + segments).flat_map(|number| std::format!("P{number:03}").into_bytes());
    [MULTI_NAME_PREFIX, segments as u8].into_iter().chain(names).collect()
}

/// Nested devices, each with a name of so many segments.
fn nested(depth: usize, segments: usize) -> Vec<u8> {
    (0..depth).rev().fold(Vec::new(), |inside, level| device(&long_name(level * segments, segments), &inside))
}

fn longest(aml: &Interpreter<FakeHandler>) -> usize {
    aml.devices().iter().map(|path| path.to_string().split('.').count()).max().unwrap_or(0)
}

#[test]
fn a_path_has_at_most_the_maximum_number_of_segments() {
    assert_eq!(longest(&load(&device(&long_name(0, MAX_PATH_SEGMENTS), &[]))), MAX_PATH_SEGMENTS);
    assert_eq!(longest(&load(&device(&long_name(0, MAX_PATH_SEGMENTS + 1), &[]))), 0);
    assert_eq!(longest(&load(&nested(4, MAX_PATH_SEGMENTS / 4))), MAX_PATH_SEGMENTS);
    for segments in [3, 7, 20] {
        let found = longest(&load(&nested(12, segments)));
        assert_eq!(found, MAX_PATH_SEGMENTS / segments * segments, "the innermost device whose path fits");
    }
    // Alias, Method, Name and Event, each in a device of 30 segments.
    let (short, long) = (long_name(100, 2), long_name(100, 3));
    for (head, tail) in [
        (&b"\x06\\_GL_"[..], &b""[..]),
        (&[METHOD_OP], &[0, RETURN_OP, ZERO_OP]),
        (&[NAME_OP], &[ZERO_OP]),
        (&[EXT_OP_PREFIX, ext::EVENT_OP], b""),
    ] {
        for (name, is_there) in [(&short, true), (&long, false)] {
            let inside = [name, tail].concat();
            let term = if head == [METHOD_OP] { package(head, &inside) } else { [head, &inside].concat() };
            let behind = b"\x08LAST\x01";
            let aml = load(&device(&long_name(0, 30), &[&term, behind.as_slice()].concat()));
            let at = |segments: std::ops::Range<usize>| {
                segments.map(|n| std::format!("P{n:03}")).collect::<Vec<_>>()
            };
            let named = path(&[at(0..30), at(100..100 + name[1] as usize)].concat().join("."));
            assert_eq!(aml.namespace.get(&named).is_some(), is_there, "{term:x?}");
            let last = path(&[at(0..30), std::vec!["LAST".into()]].concat().join("."));
            assert_eq!(aml.namespace.get(&last).is_some(), is_there, "an error ends the device");
        }
    }
}

#[test]
fn a_name_beyond_the_limit_is_an_error_everywhere() {
    let exists = |name: &[u8]| {
        main_of(
            &method(&[&[RETURN_OP, EXT_OP_PREFIX, ext::COND_REF_OF_OP], name, &[NULL_NAME]].concat()),
            &[],
        )
    };
    assert_eq!(exists(&long_name(0, MAX_PATH_SEGMENTS)), Ok(Value::Integer(0)));
    assert_eq!(exists(&long_name(0, MAX_PATH_SEGMENTS + 1)), Err(AmlError::DepthLimit));
    let up = |parents: usize| [std::vec![PARENT_PREFIX_CHAR; parents], b"MAIN".to_vec()].concat();
    assert_eq!(exists(&up(MAX_PATH_SEGMENTS)), Ok(Value::Integer(u64::MAX)));
    assert_eq!(exists(&up(MAX_PATH_SEGMENTS + 1)), Err(AmlError::DepthLimit));
    assert_eq!(exists(b"\x0dtext\0"), Err(AmlError::WrongType), "not a name");
}

#[test]
fn a_single_segment_is_searched_in_enclosing_scopes_and_a_path_is_not() {
    let names = [b"\x08WORD\x0a\x07".as_slice(), &device(b"NEAR", b"\x08WORD\x0a\x09")].concat();
    let inner =
        [b"\x08ONE_WORD\x08TWO_^^WORD".as_slice(), &package(&[METHOD_OP], b"MAIN\x00\xa4WORD")].concat();
    let mut aml = load(&[names.as_slice(), &device(b"\x2eNEARDEEP", &inner)].concat());
    assert_eq!(aml.integer(&path("NEAR.DEEP.MAIN")), Ok(9));
    assert_eq!(aml.integer(&path("NEAR.DEEP.ONE")), Ok(9));
    assert_eq!(aml.integer(&path("NEAR.DEEP.TWO")), Ok(7));
    let missing = [b"\x08WORD\x00".as_slice(), &method(b"\xa4\x2eMAINWORD")].concat();
    assert_eq!(main_of(&missing, &[]), Err(AmlError::NotFound(*b"WORD")));
}

#[test]
fn the_memory_of_stored_names_is_counted_completely() {
    let code = Code::new(std::vec![long_name(0, MAX_PATH_SEGMENTS)]);
    let name = NameString::read(&code, &mut code.blocks()[0]).unwrap();
    let mut arena = Arena::default();
    let kept = std::iter::from_fn(|| arena.add_name(&NamespacePath::root(), name.clone()).ok()).count();
    let bytes = size_of::<(NamespacePath, NameString)>() + 4 * MAX_PATH_SEGMENTS;
    assert!((1..=MAX_BYTES / bytes).contains(&kept), "{kept} names of {bytes} bytes");
}

#[test]
fn variables_beyond_the_limit_are_an_error() {
    let mut arena = Arena::default();
    let values = [Value::Uninitialized; 2];
    arena.charge(MAX_BYTES - 3 * size_of::<Value>()).unwrap();
    assert_eq!(arena.add_variables(&values), Ok(0));
    assert_eq!(arena.add_variables(&values), Err(AmlError::MemoryLimit));
    assert!(arena.variable_mut(Variable(1)).is_ok() && arena.variable_mut(Variable(2)).is_err());
}
