//! `docs/seed-map.md` is true as far as a program can tell: every name of the seed stands in it exactly once, every
//! place and every test that it names exists, every status is one of those that there are. Every break in `breaks.txt` is of a
//! row, names a test of it, and can be applied.
#![cfg(not(miri))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends here when it fails"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What the seed provides: the names of its data, functions, requests, flags and sysctls.
const NAMES: &[&str] = &[
    // Data model
    "cur",
    "avail",
    "reserved",
    "netmap_kring",
    "nr_hwcur",
    "nr_hwavail",
    "nr_hwreserved",
    "nkr_hwofs",
    "nr_busy",
    "nkr_stopped",
    "q_lock",
    "nkr_slot_flags",
    "active_fds",
    "na_refcount",
    "np_refcount",
    "netmap_total_buffers",
    "netmap_buf_size",
    "netmap_buffer_base",
    "netmap_global_lock",
    // Functions: rings and configuration
    "nm_kr_get",
    "netmap_disable_ring",
    "netmap_set_all_rings",
    "netmap_disable_all_rings",
    "netmap_enable_all_rings",
    "nm_bound_var",
    "nm_dump_buf",
    "netmap_update_config",
    "netmap_krings_create",
    "netmap_krings_delete",
    "netmap_hw_krings_create",
    "netmap_ring_reinit",
    "netmap_set_ringid",
    // Functions: memory and binding
    "netmap_if_new",
    "netmap_get_memory_locked",
    "netmap_get_memory",
    "netmap_have_memory_locked",
    "netmap_drop_memory_locked",
    "netmap_do_regif",
    "netmap_do_unregif",
    "netmap_dtor_locked",
    "netmap_dtor",
    // Functions: the host stack
    "netmap_send_up",
    "netmap_grab_packets",
    "netmap_sw_to_nic",
    "netmap_txsync_to_host",
    "netmap_rxsync_from_host",
    "netmap_transmit",
    // Functions: adapters
    "netmap_get_hw_na",
    "netmap_get_na",
    "netmap_attach_common",
    "netmap_detach_common",
    "netmap_attach",
    "netmap_detach",
    "netmap_adapter_get",
    "netmap_adapter_put",
    "generic_netmap_attach",
    // Functions: the device file
    "netmap_ioctl",
    "netmap_kqfilter",
    "netmap_kqfilter_detach",
    "netmap_kqfilter_event",
    "netmap_poll",
    "netmap_init",
    "netmap_fini",
    // Functions: interrupts and reset
    "netmap_notify",
    "netmap_reset",
    "netmap_common_irq",
    "netmap_rx_irq",
    // What the seed calls in other files
    "nm_register",
    "nm_txsync",
    "nm_rxsync",
    "nm_config",
    "nm_krings_create",
    "nm_krings_delete",
    "nm_notify",
    "nm_kr_tryget",
    "nm_kr_put",
    "nm_kr_rxpos",
    "nm_next",
    "netmap_mem_init",
    "netmap_mem_finalize",
    "netmap_mem_deref",
    "netmap_mem_get_info",
    "netmap_mem_if_new",
    "netmap_mem_if_delete",
    "netmap_mem_if_offset",
    "netmap_mem_rings_create",
    "netmap_mem_rings_delete",
    "netmap_mem_private_delete",
    "mbq_dequeue",
    "BDG_NMB",
    "netmap_get_bdg_na",
    "netmap_bdg_ctl",
    "netmap_init_bridges",
    // Requests (ioctl)
    "NIOCGINFO",
    "NIOCREGIF",
    "NIOCUNREGIF",
    "NIOCTXSYNC",
    "NIOCRXSYNC",
    "BIOCIMMEDIATE",
    "BIOCGHDRCMPLT",
    "BIOCSHDRCMPLT",
    "BIOCSSEESENT",
    "other requests",
    "NETMAP_API",
    "NETMAP_BDG_ATTACH",
    "NETMAP_BDG_DETACH",
    "NETMAP_BDG_LIST",
    // Binding
    "nr_ringid = 0",
    "NETMAP_HW_RING",
    "NETMAP_SW_RING",
    "NETMAP_NO_TX_POLL",
    "NETMAP_RING_MASK",
    "NETMAP_PRIV_MEM",
    // Readiness (poll)
    "POLLERR",
    "POLLIN",
    "POLLOUT",
    "poll: host rings",
    "poll: fast path",
    "poll: transmit",
    "poll: receive",
    "poll: waiters",
    "poll: transparent mode",
    // Flags
    "NS_BUF_CHANGED",
    "NS_REPORT",
    "NS_FORWARD",
    "NR_FORWARD",
    "NR_TIMESTAMP",
    "NAF_SKIP_INTR",
    "NAF_MEM_OWNER",
    "NAF_NATIVE_ON",
    "IFCAP_NETMAP",
    "NETMAP_CAPABLE",
    "NETMAP_OWNED_BY_KERN",
    "NI_PRIV_MEM",
    "NAF_FORCE_READ",
    "NAF_FORCE_RECLAIM",
    "NAF_GLOBAL_NOTIFY",
    "NAF_DISABLE_NOTIFY",
    "NKR_PENDINTR",
    "NETMAP_ADMODE_BEST",
    "NETMAP_ADMODE_NATIVE",
    "NETMAP_ADMODE_GENERIC",
    "NM_VERB_HOST",
    "NM_VERB_TXSYNC",
    // Sysctls
    "dev.netmap.verbose",
    "dev.netmap.no_timestamp",
    "dev.netmap.mitigate",
    "dev.netmap.no_pendintr",
    "dev.netmap.txsync_retry",
    "dev.netmap.flags",
    "dev.netmap.fwd",
    "dev.netmap.mmap_unreg",
    "dev.netmap.admode",
    "dev.netmap.generic_mit",
    "dev.netmap.generic_ringsize",
];

const STATUSES: [&str; 3] = ["done", "planned: the switch", "planned: requests"];

/// One row of a table.
#[derive(Debug)]
struct Row {
    seed: String,
    meaning: String,
    here: Vec<String>,
    shown_by: Vec<String>,
    status: String,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// What stands between backquotes.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(repository().join("docs/seed-map.md")).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| seed |"));
    lines
        .map(|line| {
            let cells = line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
            let &[seed, meaning, here, shown_by, status] = cells.as_slice() else {
                panic!("not five cells: {line}");
            };
            let [seed, meaning, status] = [seed, meaning, status].map(str::to_owned);
            Row { seed, meaning, here: quoted(here), shown_by: quoted(shown_by), status }
        })
        .collect()
}

/// Whether the place `FILE` or `FILE::NAME` exists; a name must stand in the file as a word.
fn exists(place: &str) -> bool {
    let (file, name) = place.split_once("::").map_or((place, None), |(file, name)| (file, Some(name)));
    let Ok(text) = fs::read_to_string(repository().join(file)) else { return false };
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    name.is_none_or(|name| text.split(|c| !is_word(c)).any(|word| word == name))
}

#[test]
fn every_name_of_the_seed_stands_there_once() {
    let mut seen = BTreeSet::new();
    for row in rows() {
        if let [name] = quoted(&row.seed).as_slice() {
            assert!(seen.insert(name.clone()), "{name} stands there twice");
        }
    }
    let expected = NAMES.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    assert_eq!(expected.len(), NAMES.len());
    let missing = expected.difference(&seen).collect::<Vec<_>>();
    let foreign = seen.difference(&expected).collect::<Vec<_>>();
    assert!(missing.is_empty() && foreign.is_empty(), "missing: {missing:?}, not of the seed: {foreign:?}");
}

#[test]
fn every_place_and_every_test_exists() {
    let rows = rows();
    for row in &rows {
        let missing = row.here.iter().chain(&row.shown_by).filter(|place| !exists(place)).collect::<Vec<_>>();
        assert!(missing.is_empty(), "{}: there is no {missing:?}", row.seed);
        let is_test = |place: &String| place.contains("::");
        assert!(row.shown_by.iter().all(is_test), "{}: a test is named by its function", row.seed);
    }
    assert!(!exists("nm-core/src/nothing.rs") && !exists("nm-core/src/kring.rs::Krin"));
}

#[test]
fn every_status_is_one_of_those_there_are_and_done_means_shown() {
    for row in rows() {
        assert!(STATUSES.contains(&row.status.as_str()), "{}: {:?}", row.seed, row.status);
        assert!(!row.meaning.is_empty(), "{}: what is it?", row.seed);
        let is_shown = !row.here.is_empty() && !row.shown_by.is_empty();
        assert!(row.status != "done" || is_shown, "{} is done: where, and what shows it?", row.seed);
    }
}

/// Row, file, test and old text of each break.
fn breaks() -> Vec<(String, String, String, String)> {
    let text = fs::read_to_string(repository().join("nm-core/tests/breaks.txt")).unwrap();
    let blocks = text.split("\n### ").skip(1);
    blocks
        .map(|block| {
            let (head, texts) = block.split_once("\n--- old\n").unwrap();
            let (old, _) = texts.split_once("\n--- new\n").unwrap();
            let &[row, file, test] = head.lines().collect::<Vec<_>>().as_slice() else { panic!("{head}") };
            let of = |line: &str, key: &str| line.strip_prefix(key).unwrap().to_owned();
            (row.to_owned(), of(file, "file "), of(test, "test "), old.trim_end().to_owned())
        })
        .collect()
}

#[test]
fn every_break_belongs_to_a_row_that_names_its_test_and_applies_to_the_source() {
    let rows = rows();
    for (title, file, test, old) in breaks() {
        let is_of = |row: &&Row| {
            let seed = row.seed.trim_matches('`');
            title.strip_prefix(seed).is_some_and(|rest| rest.is_empty() || rest.starts_with(": "))
        };
        let row = rows.iter().find(is_of).unwrap_or_else(|| panic!("{title}: no row begins so"));
        assert!(row.shown_by.contains(&test), "{title}: the row does not name {test}");
        let source = fs::read_to_string(repository().join(&file)).unwrap();
        assert_eq!(source.matches(&old).count(), 1, "{title}: the old text has to be in {file} once: {old}");
    }
}
