//! README's table of keys is the one that the parser works by.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]

use std::fs;

use nm_apps::APPS;
use nm_apps::keys::{KeyHelp, Keys};
use nm_apps::machine::MachineConfig;

/// The rows of one owner's keys, as README has them.
fn rows(keys: Vec<KeyHelp>) -> String {
    let row = |key: KeyHelp| {
        let KeyHelp { name, values, default, help } = key;
        // A vertical bar would end the cell.
        format!("| `{name}` | {values} | {default} | {} |\n", help.replace('|', "\\|"))
    };
    keys.into_iter().map(row).collect()
}

/// The table: the machine's keys, then those of each application.
fn table() -> String {
    let names: Vec<_> = APPS.iter().map(|app| app.name).collect();
    let mut table = String::from("| key | values | default | meaning |\n|---|---|---|---|\n");
    table += &format!("| `app` | {} | {} | The application |\n", names.join(", "), names[0]);
    table += &rows(MachineConfig::describe());
    for app in APPS {
        table += &format!("| **`app={}`** | | | {} |\n", app.name, app.help);
        table += &rows(app.keys());
    }
    table
}

#[test]
fn readme_has_the_table_of_keys() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let table = table();
    assert!(readme.contains(&table), "README.md must have this table:\n{table}");
}
