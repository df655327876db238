//! Names as addresses.

use super::*;

#[test]
fn an_id_wins_over_a_name() {
    on_relay(&[], |world| async move {
        world.register_as("x1", Some("bob"), None).await.unwrap();
        world.register_as("bob", None, None).await.unwrap();
        world.delegate("bob", "to the id").await.unwrap();
        assert_eq!(world.poll("bob").await.unwrap(), ["to the id"]);
        assert!(world.poll("x1").await.unwrap().is_empty());
    });
}

#[test]
fn among_bearers_the_only_one_online_is_meant() {
    on_relay(&[], |world| async move {
        world.register_as("old", Some("bob"), None).await.unwrap();
        assert!(world.delegate("bob", "only one").await.is_ok());
        pass(s(200)).await;
        assert!(
            world
                .delegate("bob", "only one, though stale")
                .await
                .is_ok()
        );
        world.register_as("new", Some("bob"), None).await.unwrap();
        world.delegate("bob", "the one online").await.unwrap();
        assert_eq!(world.poll("new").await.unwrap(), ["the one online"]);
        assert_eq!(
            world.poll("old").await.unwrap(),
            ["only one", "only one, though stale"]
        );
        let error = world.delegate("bob", "which?").await.unwrap_err();
        assert!(error.contains("2 agents bear the name \"bob\""), "{error}");
        pass(s(200)).await;
        assert!(world.delegate("bob", "both stale").await.is_err());
    });
}

#[test]
fn a_name_changes_with_its_agent() {
    on_relay(&[], |world| async move {
        world.register_as("a", Some("first"), None).await.unwrap();
        world.register_as("a", Some("second"), None).await.unwrap();
        assert!(world.delegate("first", "x").await.is_err());
        assert!(world.delegate("second", "x").await.is_ok());
        world.deregister("a").await.unwrap();
        assert!(world.delegate("second", "x").await.is_err());
    });
}

#[test]
fn the_id_of_another_is_no_name_now_and_for_a_day() {
    on_relay(&[], |world| async move {
        world.register("taken").await;
        assert!(world.register_as("b", Some("taken"), None).await.is_err());
        assert!(
            world
                .register_as("taken", Some("taken"), None)
                .await
                .is_ok(),
            "its own"
        );
        world.deregister("taken").await.unwrap();
        pass(s(24 * 3600 - 1)).await;
        assert!(world.register_as("b", Some("taken"), None).await.is_err());
        pass(s(2)).await;
        assert!(world.register_as("b", Some("taken"), None).await.is_ok());
    });
}

#[test]
fn an_unknown_name_gets_suggestions_among_few_and_among_many() {
    on_relay(&[], |world| async move {
        world
            .register_as("r1", Some("researcher"), None)
            .await
            .unwrap();
        let suggested = |error: String| error.contains("did you mean \"researcher\"?");
        assert!(suggested(
            world.delegate("reseacher", "x").await.unwrap_err()
        ));
        for n in 0..2000 {
            world.register(&format!("filler-{n}")).await;
        }
        assert!(suggested(
            world.delegate("researcherr", "x").await.unwrap_err()
        ));
    });
}

#[test]
fn an_agent_without_an_id_gets_a_short_one_and_a_name() {
    on_relay(&["--agents-limit", "2"], |world| async move {
        let agent = world
            .relay()
            .register(Register::default(), "10.1.2.3".into(), None)
            .await
            .unwrap()
            .entry
            .record(&world.relay().clock);
        assert_eq!(agent.agent_id.len(), 8);
        assert_eq!(agent.name, format!("agent-{}", &agent.agent_id[..4]));
        assert_eq!(
            (agent.machine.as_str(), agent.status.as_str()),
            ("10.1.2.3", "online")
        );
        world.register("b").await;
        let error = world.register_as("c", None, None).await.unwrap_err();
        assert!(error.contains("limit of 2 agents"), "{error}");
        world.register("b").await;
    });
}
