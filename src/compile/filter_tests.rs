//! The compiled program against the direct reading of its rules.

use proptest::prelude::*;

use super::super::sim::run;
use super::*;

/// Asserts that program and rules agree on `call`.
fn agree(spec: &FilterSpec, program: &[Instruction], call: &CallData) {
    assert_eq!(run(program, call), Some(spec.decide(call).code()), "{call:x?}");
}

/// Arguments at which some test of `rule` changes its mind, and their neighbours.
fn edges(rule: &Rule) -> Vec<[u64; 6]> {
    let mut found = vec![[0; 6], [u64::MAX; 6]];
    for clause in &rule.clauses {
        // All tests of the clause at their value, then one after the other off by a little.
        let mut base = [0_u64; 6];
        for test in &clause.tests {
            base[usize::from(test.index)] |= test.value;
        }
        found.push(base);
        for test in &clause.tests {
            let near = [
                test.value.wrapping_sub(1),
                test.value.wrapping_add(1),
                test.value | !test.mask,
                test.value ^ test.mask,
                test.value | 1 << 32,
                test.value | 1 << 63,
                test.value & u64::from(u32::MAX),
                test.value << 32,
                0,
                u64::MAX,
            ];
            found.extend(near.map(|value| {
                let mut arguments = base;
                arguments[usize::from(test.index)] = value;
                arguments
            }));
        }
    }
    found
}

/// Compares over all numbers up to beyond the last known one, the edges of the number space, every architecture, and
/// the argument edges of every rule.
pub(in crate::compile) fn compare_everywhere(spec: &FilterSpec) {
    let program = spec.compile().unwrap();
    let foreign = spec.arch.foreign_bit().unwrap_or(0x4000_0000);
    let special = [
        foreign,
        foreign + 1,
        foreign + 59,
        foreign + 520,
        i32::MAX as u32,
        1 << 31,
        u32::MAX,
    ];
    let anything = Rule::always(Action::Allow);
    for number in (0..spec.first_unknown + 40).chain(special) {
        let rule = spec.rules.get(&number).unwrap_or(&anything);
        for arguments in edges(rule) {
            let call = CallData {
                number,
                arch: spec.arch.audit(),
                instruction_pointer: 0,
                arguments,
            };
            agree(spec, &program, &call);
        }
    }
    let arches = Arch::ALL.map(Arch::audit);
    for arch in arches.into_iter().chain([0, 0x4000_0003, 0x4000_0028, u32::MAX]) {
        for number in [0, 1, 20, 59, foreign, u32::MAX] {
            agree(
                spec,
                &program,
                &CallData {
                    number,
                    arch,
                    ..CallData::default()
                },
            );
        }
    }
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => Just(Action::Allow),
        3 => (1..=4095_u16).prop_map(Action::Errno),
        1 => Just(Action::Kill),
        1 => Just(Action::Notify),
    ]
}

fn interesting() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        any::<u32>().prop_map(u64::from),
        (0..64_u32).prop_map(|bit| 1 << bit),
        Just(0),
        Just(u64::MAX),
        Just(u64::from(u32::MAX)),
        Just(1 << 32),
    ]
}

fn argument_test() -> impl Strategy<Value = ArgumentTest> {
    let width = prop_oneof![Just(Width::Word), Just(Width::Long)];
    let compare = prop_oneof![
        Just(Compare::Equal),
        Just(Compare::NotEqual),
        Just(Compare::AtLeast),
        Just(Compare::AtMost)
    ];
    (0..6_u8, width, interesting(), compare, interesting()).prop_map(|(index, width, mask, compare, value)| {
        ArgumentTest {
            index,
            width,
            mask,
            compare,
            value,
        }
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let clause = (proptest::collection::vec(argument_test(), 0..4), action())
        .prop_map(|(tests, action)| Clause { tests, action });
    (proptest::collection::vec(clause, 0..5), action()).prop_map(|(clauses, otherwise)| Rule { clauses, otherwise })
}

fn spec(rules: std::ops::Range<usize>) -> impl Strategy<Value = FilterSpec> {
    let arch = prop_oneof![Just(Arch::X86_64), Just(Arch::Aarch64), Just(Arch::Riscv64)];
    let rules = proptest::collection::btree_map(0..520_u32, rule(), rules);
    (arch, rules, action(), 400..500_u32).prop_map(|(arch, rules, otherwise, first_unknown)| FilterSpec {
        arch,
        rules,
        otherwise,
        first_unknown,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn program_agrees_with_its_rules_on_every_call(spec in spec(0..40)) {
        compare_everywhere(&spec);
    }

    #[test]
    fn program_agrees_with_its_rules_on_random_arguments(
        spec in spec(1..8),
        calls in proptest::collection::vec((0..520_u32, proptest::array::uniform6(interesting())), 50),
    ) {
        let program = spec.compile().unwrap();
        for (number, arguments) in calls {
            let call = CallData { number, arch: spec.arch.audit(), instruction_pointer: 1, arguments };
            agree(&spec, &program, &call);
        }
    }
}

/// A spec in which every second number has a rule of its own with `clauses` clauses.
fn dense(clauses: u64) -> FilterSpec {
    let clause = |value| Clause {
        tests: vec![ArgumentTest {
            index: 1,
            width: Width::Long,
            mask: u64::MAX,
            compare: Compare::Equal,
            value,
        }],
        action: Action::Errno(1),
    };
    let rule = |number: u32| Rule {
        clauses: (0..clauses)
            .map(|value| clause(value << 32 | u64::from(number)))
            .collect(),
        otherwise: Action::Allow,
    };
    FilterSpec {
        arch: Arch::X86_64,
        rules: (0..450).step_by(2).map(|number| (number, rule(number))).collect(),
        otherwise: Action::Errno(38),
        first_unknown: 451,
    }
}

/// Such a test loads nothing, and the next must not take for granted that it has.
#[test]
fn test_that_is_decided_beforehand_leaves_nothing_loaded() {
    let test = |value| ArgumentTest {
        index: 0,
        width: Width::Word,
        mask: u64::MAX,
        compare: Compare::AtLeast,
        value,
    };
    let clause = |tests, action| Clause { tests, action };
    let mut spec = dense(1);
    spec.rules.insert(
        110,
        Rule {
            clauses: vec![
                clause(vec![test(1 << 40), test(7)], Action::Errno(3)),
                clause(vec![test(7)], Action::Kill),
            ],
            otherwise: Action::Allow,
        },
    );
    compare_everywhere(&spec);
}

#[test]
fn dense_rules_up_to_the_kernel_limit_agree_and_beyond_are_refused() {
    let mut longest = 0;
    for clauses in 1..10 {
        match dense(clauses).compile() {
            Ok(program) => {
                longest = program.len();
                compare_everywhere(&dense(clauses));
            }
            Err(error) => {
                assert!(
                    matches!(error, AssemblyError::TooLong(length) if length > 4096),
                    "{error:?}"
                );
                assert!(longest > 2048, "{longest}");
                return;
            }
        }
    }
    panic!("no filter was too long");
}

#[test]
fn plainly_allowed_call_is_decided_without_reading_arguments() {
    // What lets the kernel answer from its action cache: only loads of number and architecture on the way to ALLOW.
    let mut spec = dense(1);
    spec.rules.insert(110, Rule::always(Action::Allow));
    let program = spec.compile().unwrap();
    let loads_argument = |instruction: &Instruction| instruction.code == 0x20 && instruction.k >= 8;
    let without_loads: Vec<_> = program
        .iter()
        .map(|instruction| {
            if loads_argument(instruction) {
                Instruction {
                    code: 0xffff,
                    ..*instruction
                }
            } else {
                *instruction
            }
        })
        .collect();
    let call = CallData {
        number: 110,
        arch: Arch::X86_64.audit(),
        ..CallData::default()
    };
    assert_eq!(run(&without_loads, &call), Some(RET_ALLOW));
}
