//! The shelf against a naive model: a plain list of all versions, walked anew at each step.

use super::*;
use proptest::prelude::*;

const LIMITS: ShelfLimits = ShelfLimits {
    file: 300,
    total: 8 * (FILE_OVERHEAD + 2 + "text".len()) + 700,
    earlier: 20,
};

fn key(text: &str) -> FileKey {
    FileKey::parse(text).unwrap()
}

fn change(text: Option<&str>, editor: &str) -> Change {
    Change {
        content: text.map(|text| Content::of_text(text.into())),
        file_type: text.map_or(String::new(), |_| "text".into()),
        editor: AgentId::parse(editor).unwrap(),
        at: "now".into(),
    }
}

fn put(shelf: &mut Shelf, name: &str, text: &str) -> Result<u64, ShelfError> {
    put_on(shelf, name, text, Base::Any)
}

fn put_on(shelf: &mut Shelf, name: &str, text: &str, base: Base) -> Result<u64, ShelfError> {
    let written = shelf.write(&key(name), base, change(Some(text), "a"))?;
    Ok(written.version)
}

fn delete(shelf: &mut Shelf, name: &str) -> Result<Written, ShelfError> {
    shelf.write(&key(name), Base::Any, change(None, "a"))
}

fn versions(shelf: &Shelf, name: &str) -> Vec<u64> {
    let history = shelf.history(&key(name));
    history.iter().map(|file| file.version).collect()
}

fn roomy() -> Shelf {
    Shelf::new(ShelfLimits {
        file: 10,
        total: 100_000,
        ..LIMITS
    })
}

#[test]
fn versions_count_from_one_for_each_key() {
    let mut shelf = roomy();
    assert_eq!(put(&mut shelf, "a", "1"), Ok(1));
    assert_eq!(put(&mut shelf, "a", ""), Ok(2));
    assert_eq!(put(&mut shelf, "b", "x"), Ok(1));
    assert_eq!(shelf.get(&key("a")).unwrap().version, 2);
    assert!(shelf.get(&key("c")).is_none());
}

#[test]
fn a_file_keeps_its_current_version_and_twenty_before_it() {
    let mut shelf = roomy();
    for n in 0..30 {
        put(&mut shelf, "a", &n.to_string()).unwrap();
    }
    let kept: Vec<u64> = (10..=30).rev().collect();
    assert_eq!(kept.len(), LIMITS.earlier + 1);
    assert_eq!(versions(&shelf, "a"), kept);
}

#[test]
fn as_many_earlier_versions_are_kept_as_it_is_told() {
    for earlier in [0, 1, 3] {
        let limits = ShelfLimits {
            earlier,
            total: 100_000,
            ..LIMITS
        };
        let mut shelf = Shelf::new(limits);
        for n in 0..5 {
            put(&mut shelf, "a", &n.to_string()).unwrap();
        }
        let kept: Vec<u64> = (1..=5).rev().take(earlier + 1).collect();
        assert_eq!(versions(&shelf, "a"), kept);
        assert_eq!(shelf.gone().0, 4 - earlier as u64);
        delete(&mut shelf, "a").unwrap();
        assert_eq!(versions(&shelf, "a").len(), earlier + 1);
        assert_eq!(put(&mut shelf, "a", "x"), Ok(7));
    }
}

#[test]
fn a_deleted_file_is_gone_and_counts_on_when_it_comes_back() {
    let mut shelf = roomy();
    assert_eq!(delete(&mut shelf, "a"), Err(ShelfError::NotFound));
    put(&mut shelf, "a", "x").unwrap();
    assert_eq!(
        delete(&mut shelf, "a"),
        Ok(Written {
            version: 2,
            from: 1
        })
    );
    assert_eq!(delete(&mut shelf, "a"), Err(ShelfError::NotFound));
    assert!(shelf.get(&key("a")).is_none() && shelf.is_empty());
    assert!(shelf.list(None, 10).is_empty());
    assert_eq!(versions(&shelf, "a"), [2, 1]);
    assert_eq!(put_on(&mut shelf, "a", "y", Base::Version(0)), Ok(3));
    assert_eq!(versions(&shelf, "a"), [3, 2, 1]);
    assert_eq!(shelf.len(), 1);
}

#[test]
fn a_base_that_is_not_the_current_version_is_refused_and_told_who_wrote_that() {
    let mut shelf = roomy();
    let refused = |shelf: &mut Shelf, base| put_on(shelf, "a", "x", base).unwrap_err();
    let conflict = |version, deleted| {
        ShelfError::Conflict(Conflict {
            version,
            last_editor: (version > 0).then(|| AgentId::parse("a").unwrap()),
            deleted,
        })
    };
    assert_eq!(refused(&mut shelf, Base::Version(1)), conflict(0, false));
    assert_eq!(refused(&mut shelf, Base::Existing), conflict(0, false));
    assert_eq!(put_on(&mut shelf, "a", "1", Base::Version(0)), Ok(1));
    assert_eq!(refused(&mut shelf, Base::Version(0)), conflict(1, false));
    assert_eq!(refused(&mut shelf, Base::Version(2)), conflict(1, false));
    assert_eq!(put_on(&mut shelf, "a", "2", Base::Version(1)), Ok(2));
    assert_eq!(put_on(&mut shelf, "a", "3", Base::Existing), Ok(3));
    delete(&mut shelf, "a").unwrap();
    assert_eq!(refused(&mut shelf, Base::Version(3)), conflict(4, true));
    assert_eq!(refused(&mut shelf, Base::Existing), conflict(4, true));
    assert_eq!(put_on(&mut shelf, "a", "5", Base::Version(4)), Ok(5));
}

#[test]
fn what_does_not_fit_beside_the_current_versions_changes_nothing() {
    let own = |keys: usize| keys * (FILE_OVERHEAD + "a".len() + "text".len());
    let total = own(2) + 15;
    let mut shelf = Shelf::new(ShelfLimits {
        file: 10,
        total,
        ..LIMITS
    });
    put(&mut shelf, "a", "0123456789").unwrap();
    assert_eq!(
        put(&mut shelf, "a", "0123456789x"),
        Err(ShelfError::FileTooLarge { limit: 10 })
    );
    assert_eq!(
        put(&mut shelf, "b", "012345"),
        Err(ShelfError::ShelfFull { limit: total })
    );
    assert_eq!(put(&mut shelf, "b", "01234"), Ok(1));
    assert_eq!(put(&mut shelf, "a", "x"), Ok(2));
    assert_eq!(versions(&shelf, "a"), [2], "the longer one gave way");
    assert_eq!(put(&mut shelf, "b", "0123456789"), Ok(2));
}

#[test]
fn empty_files_are_bounded_too() {
    let total = 100 * (FILE_OVERHEAD + 2 + "text".len());
    let mut shelf = Shelf::new(ShelfLimits {
        file: 10,
        total,
        ..LIMITS
    });
    let saved = (10..200).filter(|n| put(&mut shelf, &format!("{}", n % 1000), "").is_ok());
    assert!((99..=100).contains(&saved.count()));
}

#[test]
fn a_version_never_comes_twice_even_when_a_deletion_was_forgotten() {
    let total = 3 * (FILE_OVERHEAD + 10);
    let mut shelf = Shelf::new(ShelfLimits {
        file: 10,
        total,
        ..LIMITS
    });
    for _ in 0..3 {
        put(&mut shelf, "a", "x").unwrap();
    }
    delete(&mut shelf, "a").unwrap();
    for name in ["b", "c", "d"] {
        put(&mut shelf, name, "y").unwrap();
    }
    assert!(versions(&shelf, "a").is_empty(), "it is forgotten");
    delete(&mut shelf, "b").unwrap();
    let refused = put_on(&mut shelf, "a", "z", Base::Version(3));
    assert!(matches!(refused, Err(ShelfError::Conflict(_))));
    assert_eq!(put(&mut shelf, "a", "z"), Ok(5));
}

#[test]
fn a_listing_goes_on_after_a_key() {
    let mut shelf = roomy();
    for name in ["c", "a", "b/x", "b"] {
        put(&mut shelf, name, "x").unwrap();
    }
    let keys = |after: Option<&str>, limit| -> Vec<String> {
        let files = shelf.list(after.map(key).as_ref(), limit).into_iter();
        files.map(|(key, _)| key.to_string()).collect()
    };
    assert_eq!(keys(None, 2), ["a", "b"]);
    assert_eq!(keys(Some("b"), 10), ["b/x", "c"]);
    assert!(keys(Some("c"), 10).is_empty());
}

/// A version in the model: number of its key, version, bytes of its content if it has one.
type Row = (u8, u64, Option<usize>);

#[derive(Debug, Default)]
struct Model {
    /// In the order in which they were written.
    rows: Vec<Row>,
    forgotten: u64,
}

impl Model {
    fn of(&self, name: u8) -> Vec<Row> {
        let rows = self.rows.iter().copied();
        rows.filter(|row| row.0 == name).collect()
    }

    fn current(&self, row: &Row) -> bool {
        row.2.is_some() && self.of(row.0).last() == Some(row)
    }

    fn cost(row: &Row) -> usize {
        FILE_OVERHEAD + 1 + row.2.map_or(0, |size| size + "text".len())
    }

    fn bytes(&self, which: impl Fn(&Row) -> bool) -> usize {
        self.rows
            .iter()
            .filter(|row| which(row))
            .map(Model::cost)
            .sum()
    }

    fn write(
        &mut self,
        name: u8,
        base: Base,
        size: Option<usize>,
    ) -> Result<Written, &'static str> {
        if size.is_some_and(|size| size > LIMITS.file) {
            return Err("large");
        }
        let last = self.of(name).last().copied();
        let there = last.is_some_and(|row| row.2.is_some());
        if size.is_none() && !there {
            return Err("none");
        }
        let from = last.map_or(0, |row| row.1);
        let holds = match base {
            Base::Any => true,
            Base::Existing => there,
            Base::Version(0) => !there,
            Base::Version(n) => n == from,
        };
        if !holds {
            return Err("conflict");
        }
        let before = if last.is_none() { self.forgotten } else { from };
        let new = (name, before + 1, size);
        if self.bytes(|row| row.0 != name && self.current(row)) + Model::cost(&new) > LIMITS.total {
            return Err("full");
        }
        self.rows.push(new);
        if self.of(name).len() > LIMITS.earlier + 1 {
            let oldest = self.of(name)[0];
            self.rows.retain(|row| *row != oldest);
        }
        while self.bytes(|_| true) > LIMITS.total {
            let leaves = self.rows.iter().position(|row| !self.current(row));
            let row = self.rows.remove(leaves.expect("the current ones fit"));
            if self.of(row.0).is_empty() {
                self.forgotten = self.forgotten.max(row.1);
            }
        }
        Ok(Written {
            version: new.1,
            from,
        })
    }
}

fn word(error: &ShelfError) -> &'static str {
    match error {
        ShelfError::FileTooLarge { .. } => "large",
        ShelfError::ShelfFull { .. } => "full",
        ShelfError::Conflict(_) => "conflict",
        ShelfError::NotFound => "none",
    }
}

fn base() -> impl Strategy<Value = Base> {
    prop_oneof![
        4 => Just(Base::Any),
        1 => Just(Base::Existing),
        3 => (0u64..8).prop_map(Base::Version),
    ]
}

proptest! {
    #[test]
    fn it_keeps_counts_and_refuses_as_a_plain_list_would(
        ops in prop::collection::vec((0u8..6, base(), prop::option::weighted(0.85, 0usize..320)), 1..120)
    ) {
        let (mut shelf, mut model) = (Shelf::new(LIMITS), Model::default());
        let mut written = 0;
        for (name, base, size) in ops {
            let text = size.map(|size| "x".repeat(size));
            let path = key(&name.to_string());
            let did = shelf.write(&path, base, change(text.as_deref(), "a"));
            let wanted = model.write(name, base, size);
            prop_assert_eq!(did.as_ref().map_err(word), wanted.as_ref().map_err(|word| *word));
            written += u64::from(did.is_ok());
            prop_assert_eq!(shelf.held(), (model.rows.len(), model.bytes(|_| true)));
            prop_assert_eq!(shelf.gone().0 + shelf.gone().1, written - model.rows.len() as u64);
            prop_assert_eq!(shelf.lasting, model.bytes(|row| model.current(row)));
            for name in 0u8..6 {
                let kept = shelf.history(&key(&name.to_string()));
                let kept: Vec<Row> = kept
                    .iter()
                    .map(|file| (name, file.version, file.content.as_ref().map(Content::size)))
                    .collect();
                let mut wanted = model.of(name);
                wanted.reverse();
                prop_assert_eq!(kept, wanted);
            }
            let live = (0u8..6).filter(|name| model.of(*name).last().is_some_and(|row| row.2.is_some()));
            prop_assert_eq!(shelf.len(), live.count());
            prop_assert_eq!(shelf.leaving.len() + shelf.len(), model.rows.len());
        }
    }
}
