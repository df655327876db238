//! Stale and reaped, to the millisecond.

use super::*;

const MS: Duration = Duration::from_millis(1);

#[test]
fn an_agent_is_stale_at_its_time_and_not_before_and_keeps_its_inbox() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        pass(s(120) - MS).await;
        assert_eq!(
            (world.status("a"), world.relay().online()),
            (Some("online"), 1)
        );
        pass(MS * 3).await;
        assert_eq!(
            (world.status("a"), world.relay().online()),
            (Some("stale"), 0)
        );
        assert_eq!(world.delegate("a", "kept").await.unwrap(), "queued");
        pass(s(3600)).await;
        assert_eq!(world.poll("a").await.unwrap(), ["kept"]);
        assert_eq!(
            (world.status("a"), world.relay().online()),
            (Some("online"), 1)
        );
    });
}

#[test]
fn a_heartbeat_a_poll_and_registering_again_count_as_heard() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        for round in 0..30 {
            pass(s(119)).await;
            assert_eq!(world.status("a"), Some("online"), "round {round}");
            match round % 3 {
                0 => assert!(world.relay().heartbeat(&world.anybody("a"))),
                1 => drop(world.poll("a").await.unwrap()),
                _ => world.register("a").await,
            }
        }
        pass(s(121)).await;
        assert_eq!(
            (world.status("a"), world.relay().online()),
            (Some("stale"), 0)
        );
    });
}

#[test]
fn a_stale_agent_that_is_heard_turns_stale_again_in_its_time() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        for _ in 0..5 {
            pass(s(500)).await;
            assert_eq!(world.relay().online(), 0);
            assert!(world.relay().heartbeat(&world.anybody("a")));
            assert_eq!(world.relay().online(), 1);
            pass(s(119)).await;
            assert_eq!(world.relay().online(), 1);
        }
    });
}

#[test]
fn an_agent_is_reaped_a_day_after_it_was_last_heard() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        pass(s(50_000)).await;
        assert!(world.relay().heartbeat(&world.anybody("a")));
        pass(s(86_400) - MS).await;
        assert_eq!(world.status("a"), Some("stale"));
        pass(MS * 5).await;
        assert_eq!(world.status("a"), None);
        assert!(world.relay().directory.is_empty());
        assert_eq!(world.poll("a").await, None);
        assert!(!world.relay().heartbeat(&world.anybody("a")));
        let error = world.delegate("a", "too late").await.unwrap_err();
        assert!(error.starts_with("no agent \"a\" is registered"), "{error}");
    });
}

#[test]
fn reap_after_never_removes_an_agent_that_is_not_stale() {
    on_relay(&["--reap-after", "10"], |world| async move {
        world.register_as("cron", None, Some(3600)).await.unwrap();
        world.register("short").await;
        pass(s(121)).await;
        assert_eq!(
            (world.status("short"), world.status("cron")),
            (None, Some("online"))
        );
        pass(s(3600)).await;
        assert_eq!(world.status("cron"), None);
    });
}

#[test]
fn a_ttl_is_the_agents_own_and_may_change_both_ways() {
    on_relay(&["--stale-after", "60"], |world| async move {
        world.register_as("a", None, Some(600)).await.unwrap();
        pass(s(599)).await;
        assert_eq!(world.status("a"), Some("online"));
        world.register_as("a", None, Some(30)).await.unwrap();
        pass(s(31)).await;
        assert_eq!(
            (world.status("a"), world.relay().online()),
            (Some("stale"), 0)
        );
        world.register("a").await;
        pass(s(59)).await;
        assert_eq!(
            (world.status("a"), world.relay().online()),
            (Some("online"), 1)
        );
        for ttl in [29, 86_401, 0] {
            let error = world.register_as("b", None, Some(ttl)).await.unwrap_err();
            assert!(error.contains("30 to 86400"), "{error}");
        }
    });
}

#[test]
fn an_open_socket_keeps_its_agent_online_in_silence() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (_fake, session) = world.socket("a").await;
        pass(s(100_000)).await;
        assert_eq!(
            (world.status("a"), world.relay().online()),
            (Some("online"), 1)
        );
        drop(session);
        pass(s(119)).await;
        assert_eq!(world.status("a"), Some("online"), "heard until it closed");
        pass(s(2)).await;
        assert_eq!(
            (world.status("a"), world.relay().online()),
            (Some("stale"), 0)
        );
    });
}

#[test]
fn a_socket_makes_a_stale_agent_online() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        pass(s(500)).await;
        let (_fake, _session) = world.socket("a").await;
        assert_eq!(
            (world.status("a"), world.relay().online()),
            (Some("online"), 1)
        );
    });
}

#[test]
fn leaving_frees_the_id_and_counts_once() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (fake, _session) = world.socket("a").await;
        let kept = world.relay().directory.get("a").unwrap().agent.clone();
        world.deregister("a").await.unwrap();
        quiet().await;
        assert_eq!((world.status("a"), world.relay().online()), (None, 0));
        assert_eq!(*fake.dismissed.lock(), Some(Dismiss::Removed));
        assert!(
            !kept.address().connected(),
            "its timer does not keep the actor alive"
        );
        // Whoever still holds the handle changes nothing any more.
        kept.heard();
        assert!(kept.poll(Ask::PLAIN, Duration::ZERO).await.is_err());
        assert_eq!(world.relay().online(), 0);
        let again = world.deregister("a").await.unwrap_err();
        assert!(again.contains("no agent"), "{again}");
        world.register("a").await;
        assert_eq!(
            (world.poll("a").await.unwrap().len(), world.relay().online()),
            (0, 1)
        );
    });
}

#[test]
fn a_thousand_agents_turn_stale_and_go_each_in_its_time() {
    on_relay(&["--reap-after", "7200"], |world| async move {
        for n in 0..1000 {
            world
                .register_as(&format!("a{n}"), None, Some(100 + n))
                .await
                .unwrap();
        }
        pass(s(600) + MS * 5).await;
        assert_eq!(world.relay().online(), 499, "those of ttl 601 to 1099");
        pass(s(6601)).await;
        assert!(world.relay().directory.is_empty());
    });
}

#[test]
fn a_standstill_moves_every_deadline_on() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let clock = world.relay().clock.clone();
        pass(s(100)).await;
        let before = clock.now();
        // The clock jumps without anybody having looked at it meanwhile.
        tokio::time::advance(s(3600)).await;
        assert!(clock.now() - before < 2_000, "{}", clock.now() - before);
        assert_eq!(world.status("a"), Some("online"));
        pass(s(19)).await;
        assert_eq!(world.status("a"), Some("online"));
        pass(s(3)).await;
        assert_eq!(
            (world.status("a"), world.relay().online()),
            (Some("stale"), 0)
        );
    });
}
