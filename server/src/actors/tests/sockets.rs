//! A message is in one place: in the inbox, or in flight to the open socket.

use super::*;
use crate::core::window::WINDOW_COUNT;

#[test]
fn an_inbox_drains_into_the_socket_that_opens() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        world.delegate("a", "one").await.unwrap();
        world.broadcast("two").await;
        let (fake, session) = world.socket("a").await;
        assert_eq!(world.delegate("a", "three").await.unwrap(), "websocket");
        world.broadcast("four").await;
        quiet().await;
        assert_eq!(fake.got(), ["one", "two", "three", "four"]);
        session.confirm(fake.mark());
        quiet().await;
        drop(session);
        quiet().await;
        assert!(world.poll("a").await.unwrap().is_empty());
    });
}

/// A peer that stops reading: its session would freeze. The agent does not notice.
#[test]
fn a_socket_that_answers_no_ping_gets_one_window_and_no_more() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (fake, session) = world.socket("a").await;
        let mut deliveries = Vec::new();
        for n in 0..200 {
            deliveries.push(world.delegate("a", &n.to_string()).await.unwrap());
        }
        quiet().await;
        assert_eq!(fake.got().len(), WINDOW_COUNT);
        assert_eq!(
            deliveries.iter().filter(|d| *d == "websocket").count(),
            WINDOW_COUNT
        );
        assert!(
            deliveries[WINDOW_COUNT..]
                .iter()
                .all(|delivery| delivery == "queued")
        );
        pass(s(10_000)).await;
        assert_eq!(world.status("a"), Some("online"));
        // A poll beside it takes what is not in flight, and nothing else.
        let polled = world.poll("a").await.unwrap();
        assert_eq!(
            polled,
            (WINDOW_COUNT..200)
                .map(|n| n.to_string())
                .collect::<Vec<_>>()
        );
        drop(session);
        quiet().await;
        let back = world.poll("a").await.unwrap();
        assert_eq!(
            back,
            (0..WINDOW_COUNT).map(|n| n.to_string()).collect::<Vec<_>>()
        );
    });
}

#[test]
fn an_answered_ping_moves_the_window_on() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (fake, session) = world.socket("a").await;
        for n in 0..200 {
            world.delegate("a", &n.to_string()).await.unwrap();
        }
        for _ in 0..10 {
            quiet().await;
            session.confirm(fake.mark());
        }
        quiet().await;
        assert_eq!(
            fake.got(),
            (0..200).map(|n| n.to_string()).collect::<Vec<_>>()
        );
        drop(session);
        quiet().await;
        assert!(world.poll("a").await.unwrap().is_empty());
    });
}

#[test]
fn what_a_socket_never_confirmed_takes_its_old_place() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (fake, session) = world.socket("a").await;
        world.delegate("a", "one").await.unwrap();
        world.delegate("a", "two").await.unwrap();
        session.confirm(fake.mark() - 1);
        quiet().await;
        drop(session);
        world.delegate("a", "three").await.unwrap();
        assert_eq!(world.poll("a").await.unwrap(), ["two", "three"]);
    });
}

#[test]
fn a_peers_goodbye_confirms_what_it_was_sent() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (fake, session) = world.socket("a").await;
        world.delegate("a", "one").await.unwrap();
        quiet().await;
        session.confirm(fake.mark());
        drop(session);
        quiet().await;
        assert!(world.poll("a").await.unwrap().is_empty());
        pass(s(121)).await;
        assert_eq!(world.status("a"), Some("stale"));
    });
}

#[test]
fn a_second_socket_replaces_the_first_and_gets_its_mail() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (first, old) = world.socket("a").await;
        world.delegate("a", "one").await.unwrap();
        let (second, new) = world.socket("a").await;
        quiet().await;
        assert_eq!(*first.dismissed.lock(), Some(Dismiss::Replaced));
        assert_eq!(second.got(), ["one"]);
        // The first one's last words change nothing.
        old.confirm(1);
        drop(old);
        quiet().await;
        assert_eq!(world.delegate("a", "two").await.unwrap(), "websocket");
        assert_eq!(second.got(), ["one", "two"]);
        drop(new);
        quiet().await;
        assert_eq!(world.poll("a").await.unwrap(), ["one", "two"]);
    });
}

#[test]
fn a_full_inbox_refuses_mail_until_something_is_confirmed() {
    on_relay(&["--inbox-limit", "10"], |world| async move {
        world.register("a").await;
        for n in 0..10 {
            world.delegate("a", &n.to_string()).await.unwrap();
        }
        let error = world.delegate("a", "one too many").await.unwrap_err();
        assert!(error.contains("inbox of \"a\" is full"), "{error}");
        assert_eq!(world.broadcast("not refused").await, 1);
        let (fake, session) = world.socket("a").await;
        assert!(
            world
                .delegate("a", "in flight is not yet read")
                .await
                .is_err()
        );
        quiet().await;
        session.confirm(fake.mark());
        quiet().await;
        assert!(world.delegate("a", "room again").await.is_ok());
    });
}

#[test]
fn ten_thousand_broadcasts_to_one_that_never_polls_stay_within_bounds() {
    on_relay(&["--inbox-limit", "100"], |world| async move {
        world.register("a").await;
        for n in 0..10_000 {
            world.broadcast(&n.to_string()).await;
        }
        let batch = world
            .relay()
            .polled(&world.anybody("a"), Ask::PLAIN, Duration::ZERO)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((batch.messages.len(), batch.missed), (50, 9_950));
        assert_eq!(body_of(&batch.messages[49].envelope.body), "9999");
    });
}

#[test]
fn notices_that_were_confirmed_while_nobody_was_woken_for_it_do_not_come_again() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (fake, session) = world.socket("a").await;
        for n in 0..2 * WINDOW_COUNT {
            world.broadcast(&n.to_string()).await;
            quiet().await;
            session.confirm(fake.mark());
        }
        assert_eq!(fake.got().len(), 2 * WINDOW_COUNT, "the window moved on");
        drop(session);
        quiet().await;
        assert!(world.poll("a").await.unwrap().is_empty());
    });
}

#[test]
fn a_goodbye_confirms_what_was_read_and_hands_nobody_what_waits() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (fake, session) = world.socket("a").await;
        for n in 0..WINDOW_COUNT + 10 {
            world.delegate("a", &n.to_string()).await.unwrap();
        }
        assert_eq!(fake.got().len(), WINDOW_COUNT);
        session.confirm_last(WINDOW_COUNT as u64);
        quiet().await;
        let left = world.poll("a").await.unwrap();
        assert_eq!(left.first(), Some(&WINDOW_COUNT.to_string()));
        assert_eq!(left.len(), 10);
        let again = world.relay().metrics.redeliveries.get();
        assert_eq!(again, 0, "nobody has seen them before");
    });
}
