//! Network rules as text.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::super::Policy;
use super::*;

fn message(text: &str) -> String {
    Policy::from_toml(text).unwrap_err().message().to_owned()
}

#[test]
fn rules_are_written_after_files_and_read_back() {
    let mut policy = Policy::from_toml("filesystem.read = [\"/a\"]\nsyscalls.deny = [\"kill\"]").unwrap();
    let allow = ["tcp://example.com:443", "udp://[fd00::/8]:53", "unix:/run/\"é\"/*"];
    policy.network = NetRules {
        allow: allow.map(|text| NetRule::allow(text).unwrap()).into(),
        deny: vec![NetRule::deny("10.0.0.0/8").unwrap()],
        allow_bind: ["8000-8999", "udp://*"]
            .map(|text| BindRule::parse(text).unwrap())
            .into(),
        deny_bind: vec![BindRule::parse("8080").unwrap()],
        refresh: None,
    };
    let text = "[filesystem]\nread = [\"/a\"]\n\n\
                [network]\n\
                allow = [\"tcp://example.com:443\", \"udp://[fd00::/8]:53\", \"unix:/run/\\\"é\\\"/*\"]\n\
                deny = [\"10.0.0.0/8\"]\n\
                allow-bind = [\"8000-8999\", \"udp://*\"]\n\
                deny-bind = [\"8080\"]\n\n\
                [syscalls]\ndeny = [\"kill\"]\n";
    assert_eq!(policy.to_toml(), text);
    assert_eq!(Policy::from_toml(text), Ok(policy));
}

#[test]
fn long_lists_are_broken() {
    let allow: Vec<_> = (0..20)
        .map(|host| NetRule::allow(&format!("10.0.0.{host}:443")).unwrap())
        .collect();
    let policy = Policy {
        network: NetRules {
            allow,
            ..NetRules::default()
        },
        ..Policy::new()
    };
    let text = policy.to_toml();
    assert!(
        text.starts_with("[network]\nallow = [\n    \"10.0.0.0:443\",\n"),
        "{text}"
    );
    assert_eq!(Policy::from_toml(&text), Ok(policy));
}

#[test]
fn what_says_nothing_is_left_out() {
    for text in [
        "[network]",
        "network.allow = []\nnetwork.deny-bind = []",
        "network.tcp = \"deny\"",
    ] {
        assert_eq!(Policy::from_toml(text), Ok(Policy::new()), "{text}");
    }
}

#[test]
fn what_is_wrong_has_a_place_in_the_text_and_one_in_the_rule() {
    for (text, expected) in [
        (
            "network.allow = \"*\"",
            "line 1, column 17: network.allow must be an array of rules: strings, not a string",
        ),
        (
            "network.allow-bind = [80]",
            "line 1, column 23: network.allow-bind must be an array of rules: strings, not an integer",
        ),
        (
            "[network]\nalow = []",
            "line 2, column 1: unknown key \"network.alow\"; known are allow, deny, allow-bind, deny-bind, refresh, tcp",
        ),
        (
            "[network]\nallow_bind = []",
            "line 2, column 1: unknown key \"network.allow_bind\"; known are allow, deny, allow-bind, deny-bind, refresh, tcp",
        ),
        (
            "[network]\nallow = [\n  \"a\",\n  \"tcp://10.1.2.3/8\",\n]",
            "line 4, column 3: network.allow: rule \"tcp://10.1.2.3/8\", column 7: \
             this address has bits beyond the prefix; the network is 10.0.0.0/8",
        ),
        (
            "network.allow = [\"a\\u0000ff\"]",
            "line 1, column 18: network.allow: rule \"a\\0ff\", column 2: a control character, '\\0'",
        ),
        (
            "network.deny = ['10.0.0.1', 'a']",
            "line 1, column 29: network.deny: rule \"a\", column 1: \
             what is denied is an address, a network or *, for a name may stand for others later",
        ),
        (
            "network.allow-bind = [\"0\"]",
            "line 1, column 23: network.allow-bind: rule \"0\", column 1: \
             to bind to port 0 is to be given a free one of those that are allowed: write * or a range of them",
        ),
        (
            "network.deny-bind = [\"90-80\"]",
            "line 1, column 22: network.deny-bind: rule \"90-80\", column 1: the range is reversed; write 80-90",
        ),
        (
            "network.refresh = 0",
            "line 1, column 19: network.refresh must be seconds: an integer from 1, not an integer",
        ),
        (
            "network = { tcp = \"deny\", allow = [\"tcp://a\"] }",
            "line 1, column 19: network.tcp is \"deny\", but rules allow some of it",
        ),
        (
            "network.allow-bind = [\"80\"]\nnetwork.tcp = \"deny\"",
            "line 2, column 15: network.tcp is \"deny\", but rules allow some of it",
        ),
    ] {
        assert_eq!(message(text), format!("policy: {expected}"), "{text}");
    }
    // Every rule that is wrong is told.
    let message = message("network.allow = [\":\", \"a\", \":\"]\nnetwork.deny = [\":\"]");
    assert!(message.starts_with("3 problems: "), "{message}");
    let udp =
        "[network]\ntcp = \"deny\"\nallow = [\"udp://a\"]\nallow-bind = [\"udp://53\", \"80\"]\ndeny-bind = [\"80\"]";
    assert!(Policy::from_toml(udp).is_ok());
}

/// Rules of every kind, made of what they are made of and what nearly is a rule.
pub(in super::super) fn network() -> impl Strategy<Value = NetRules> {
    let place = prop_oneof![
        "[a-z]{1,5}(\\.[a-z]{1,3})?",
        any::<std::net::IpAddr>().prop_map(|address| match address {
            std::net::IpAddr::V6(long) => format!("[{long}]"),
            short => short.to_string(),
        }),
        (0..=255_u8, 8..=32_u8).prop_map(|(first, prefix)| format!("{first}.0.0.0/{prefix}")),
        Just("*".to_owned()),
    ];
    let scheme = prop_oneof![Just(""), Just("tcp://"), Just("udp://")];
    let ports = "[1-9][0-9]{0,3}(,[1-9][0-9]{0,3}){0,2}";
    let internet = (scheme.clone(), place, ports).prop_map(|(scheme, place, ports)| format!("{scheme}{place}:{ports}"));
    let unix = prop_oneof![
        "unix:/[a-z\"]{1,4}(/\\*)?",
        "unix:@[^\\p{Cc}*]{1,8}",
        "unix:/[^\\p{Cc}*/.]{1,8}"
    ];
    let peer = prop_oneof![4 => internet, 1 => unix];
    let allow = peer
        .clone()
        .prop_filter_map("no rule", |text| NetRule::allow(&text).ok());
    let deny = peer.prop_filter_map("no rule", |text| NetRule::deny(&text).ok());
    let bind = (scheme, ports).prop_map(|(scheme, ports)| BindRule::parse(&format!("{scheme}{ports}")).unwrap());
    (
        vec(allow, 0..5),
        vec(deny, 0..3),
        vec(bind.clone(), 0..3),
        vec(bind, 0..3),
        proptest::option::of(1..=u32::MAX),
    )
        .prop_map(|(allow, deny, allow_bind, deny_bind, refresh)| NetRules {
            allow,
            deny,
            allow_bind,
            deny_bind,
            refresh,
        })
}
