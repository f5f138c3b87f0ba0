//! Buffers and runs of buffers through a virtqueue, as a burst would have them.

use millrace_drivers::virtio::queue::{Segment, Used, Virtqueue};

/// Posts buffers of one descriptor, with the ids from `first` on, in as many runs as it takes. Returns how many.
pub fn post_run<Q: Virtqueue>(queue: &mut Q, first: u16, segments: impl IntoIterator<Item = Segment>) -> u32 {
    let segments: Vec<_> = segments.into_iter().collect();
    let (mut id, mut rest) = (first, segments.as_slice());
    while let Some(&(_, bytes)) = rest.first() {
        let (descriptors, mut next) = queue.descriptors(id, 0);
        assert!(!descriptors.is_empty(), "no descriptor for id {id}");
        let count = descriptors.len().min(rest.len());
        for (descriptor, &segment) in descriptors.iter().zip(rest) {
            Q::write(descriptor, &mut next, segment);
        }
        queue.posted(id, count as u32, bytes);
        (id, rest) = (id + count as u16, &rest[count..]);
    }
    segments.len() as u32
}

/// Posts a buffer of one descriptor.
pub fn post(queue: &mut impl Virtqueue, id: u16, address: u64, bytes: u32) {
    assert_eq!(post_run(queue, id, [(address, bytes)]), 1);
}

/// Takes used buffers of one descriptor that come with the ids from `first` on, at most `max`, as long as `accept` takes what
/// the device wrote. Returns how many.
pub fn pop_run<Q: Virtqueue>(
    queue: &mut Q,
    first: u16,
    max: u32,
    mut accept: impl FnMut(u32) -> bool,
) -> u32 {
    let (mut id, end) = (u32::from(first), u32::from(first) + max);
    loop {
        let (places, mut mark) = queue.completions(id as u16);
        let ids = id..end;
        let run = places
            .iter()
            .zip(ids)
            .take_while(|&(place, id)| Q::used(place, &mut mark, id).is_some_and(&mut accept));
        let (whole, count) = (places.len(), run.count());
        queue.consume(count as u32);
        id += count as u32;
        if count == 0 || count < whole {
            return id - u32::from(first);
        }
    }
}

/// Takes the next used buffer, which is one descriptor.
pub fn pop(queue: &mut impl Virtqueue) -> Option<Used> {
    let used = queue.peek()?;
    assert_eq!(queue.peek(), Some(used), "it stays the next");
    assert!(queue.advance(1, 1));
    Some(used)
}

/// Takes the next used buffer if it is the one that is expected. Returns how much the device wrote.
pub fn pop_expected(queue: &mut impl Virtqueue, id: u16) -> Option<u32> {
    let mut found = None;
    let count = pop_run(queue, id, 1, |written| {
        found = Some(written);
        true
    });
    assert_eq!(count, u32::from(found.is_some()));
    found
}
